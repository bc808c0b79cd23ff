"""The machines of a trial: each a supervisord with its own folder, on one Pub/Sub and one BigQuery.

The first machine is in local mode and has the embedded services. The others have the settings of a
machine in the cloud, whose emulator addresses are their proxies'.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ops.fleet.ports import free_ports
from ops.rig.bigquery_proxy import BigQueryProxy
from ops.rig.disposable_fleet import DisposableFleet
from ops.rig.held_messages import HeldMessages
from ops.rig.pubsub_proxy import PubSubProxy
from ops.runtime.settings import Settings
from ops.trial.fault_kinds import CLOCKED
from ops.trial.fault_target import BEYOND_LEASE, Machine

FEWER = {"server": 1, "worker": 2}
"""The processes of a machine that is not alone."""


class MachinePlan(NamedTuple):
    """`launchers`: program → the words before its module; `moved_clocks` are of CLOCKED."""

    machines: int
    launchers: Mapping[str, Sequence[str]]
    moved_clocks: Sequence[str]
    strict_bigquery: str
    """The address of the strict BigQuery, "" for none."""


def build(folder: Path, plan: MachinePlan, settings: Mapping[str, Any]) -> list[Machine]:
    """Return the machines, not started; `settings` are those of all of them."""
    first = _Folder(folder, plan)
    fleet = DisposableFleet(
        folder,
        launchers=first.launchers,
        variables=dict.fromkeys(CLOCKED, first.proxy_variables),
        processes=FEWER if plan.machines > 1 else None,
        **{**settings, "INSTANCE": _instance(0)},
    )
    held = HeldMessages()
    machines = [first.machine(_instance(0), fleet, fleet.settings, plan.strict_bigquery, held)]
    for number in range(1, plan.machines):
        own = folder / f"m{number}"
        own.mkdir()
        other = _Folder(own, plan)
        cloud: dict[str, Any] = {
            **settings,
            **_cloud(fleet.settings),
            **other.proxy_variables,
            "INSTANCE": _instance(number),
        }
        joined = DisposableFleet(own, launchers=other.launchers, processes=FEWER, **cloud)
        name = _instance(number)
        machines.append(other.machine(name, joined, fleet.settings, plan.strict_bigquery, held))
    return machines


def _instance(number: int) -> str:
    return f"machine-{number}"


class _Folder:
    """What of a machine exists before its fleet: the clock files and the proxies' addresses."""

    def __init__(self, folder: Path, plan: MachinePlan) -> None:
        self._pubsub, self._bigquery = (f"127.0.0.1:{port}" for port in free_ports(2))
        self.clocks = {program: folder / f"{program}.clock" for program in CLOCKED}
        self.launchers = {
            program: list(self._words(program, plan)) for program in {*CLOCKED, *plan.launchers}
        }
        self.proxy_variables = {
            "PUBSUB_EMULATOR_HOST": self._pubsub,
            "BIGQUERY_EMULATOR_HOST": self._bigquery,
        }

    def _words(self, program: str, plan: MachinePlan) -> Iterator[str]:
        if program in plan.moved_clocks:
            yield from ("ops.rig.clock", str(self.clocks[program]))
        yield from plan.launchers.get(program, ())

    def machine(
        self,
        name: str,
        fleet: DisposableFleet,
        services: Settings,
        strict_bigquery: str,
        held: HeldMessages,
    ) -> Machine:
        lease = services.lease_seconds
        late = lease + BEYOND_LEASE[0], lease + BEYOND_LEASE[1]
        bigquery = strict_bigquery or services.bigquery_emulator_host or ""
        return Machine(
            name,
            fleet,
            PubSubProxy(self._pubsub, services.pubsub_emulator_host or "", held),
            BigQueryProxy(self._bigquery, bigquery, late),
            self.clocks,
        )


def _cloud(services: Settings) -> dict[str, str]:
    return {
        "PROJECT_ID": services.project_id,
        "DATASET_ID": services.dataset_id,
        "TOPIC_ID": services.topic_id,
        "SUBSCRIPTION_ID": services.subscription_id,
        "PUSHGATEWAY_PROMETHEUS_HOST": services.pushgateway_prometheus_host or "",
    }
