import io
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.commands.console import PlainConsole
from ops.commands.status.fleet_page import FleetPage
from ops.commands.status.rejection_counts import RejectionCounts
from ops.fleet.config import FleetConfig
from ops.runtime.backlog import SubscriptionBacklog
from ops.runtime.pushed_metrics import parse_pushed
from ops.runtime.settings import Settings
from ops.runtime.supervisord import ProcessState

NAMES = ("gatekeeper_", "valid_", "invalid_")
WORKER = 'instance="w1:worker_00",job="gatekeeper_worker"'
OTHER = 'instance="w2:worker_00",job="gatekeeper_worker"'


@pytest.fixture(scope="module")
def shown() -> Callable[..., tuple[str, bool]]:
    """Return the page as printed, and whether the fleet is healthy, of what others say."""
    fleet, local = FleetConfig.read(), Settings.parse({"INSTANCE": "w1"})

    def shown(
        page: str,
        rejected: str = "none",
        state: str = "RUNNING",
        settings: Settings = local,
        backlog: str = "5",
    ) -> tuple[str, bool]:
        class Known(FleetPage):
            def _sources(self) -> dict[str, Callable[[], Any]]:
                process = ProcessState("worker", "worker_00", state, 7, 60.0, 0, rejected)
                return {
                    "processes": lambda: [process],
                    "pushed": lambda: (parse_pushed(page, NAMES), time.time()),
                    "dead letters": lambda: RejectionCounts(30, {rejected: 1}),
                    "backlog": lambda: SubscriptionBacklog(int(backlog), 0.0),
                }

        known, file = Known(fleet, settings), io.StringIO()
        PlainConsole(file=file, width=100).print(known.refresh(), crop=False)
        return file.getvalue(), known.healthy

    return shown


def test_a_halted_worker_makes_the_fleet_unhealthy(shown: Callable[..., tuple[str, bool]]) -> None:
    pushed = f"push_time_seconds{{{WORKER}}} {time.time()}\n"
    assert shown(pushed)[1]
    text, healthy = shown(f"{pushed}gatekeeper_halted{{{WORKER}}} 1\n")
    assert not healthy
    assert "w1:worker_00 has halted: its log has the reason; repair the set-up, then run" in text
    assert text.count("`gatekeeper resume`") == 1


def test_a_machine_is_seen_by_what_it_pushes(shown: Callable[..., tuple[str, bool]]) -> None:
    own = f"push_time_seconds{{{WORKER}}} {time.time()}\n"
    text, healthy = shown(f"{own}push_time_seconds{{{OTHER}}} {time.time()}\n")
    assert healthy
    assert re.search(r"w1:worker_00 │ running", text)
    assert re.search(r"w2:worker_00 │ pushing", text)
    assert "w2: seen from w1 only by what their processes push" in text

    text, healthy = shown(f"{own}push_time_seconds{{{OTHER}}} {time.time() - 60}\n")
    assert not healthy
    assert re.search(r"w2:worker_00 │ silent: killed", text)


def test_without_a_pushgateway_the_page_names_what_it_cannot_see(
    shown: Callable[..., tuple[str, bool]],
) -> None:
    cloud = dict.fromkeys(("PROJECT_ID", "TOPIC_ID", "SUBSCRIPTION_ID"), "a-project")
    alone = Settings.parse({**cloud, "DATASET_ID": "d", "INSTANCE": "w1"})
    text, healthy = shown(f"push_time_seconds{{{WORKER}}} {time.time()}\n", settings=alone)
    assert healthy
    assert "only w1 is shown: without PUSHGATEWAY_PROMETHEUS_HOST other machines are not" in text


def test_an_unknown_backlog_makes_the_fleet_unhealthy(
    shown: Callable[..., tuple[str, bool]],
) -> None:
    text, healthy = shown(f"push_time_seconds{{{WORKER}}} {time.time()}\n", backlog="none")
    assert not healthy
    assert "backlog: unknown" in text


def test_a_process_that_runs_and_does_not_push_is_not_healthy(
    shown: Callable[..., tuple[str, bool]],
) -> None:
    text, healthy = shown(f"push_time_seconds{{{WORKER}}} {time.time() - 60}\n")
    assert not healthy
    assert "running, but silent" in " ".join(text.split())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(max_size=20) | st.sampled_from(["[/x]", "\x1b[2J", "\n", "x" * 5000]),
    st.floats() | st.sampled_from([1e300, 2.0**53]),
    st.sampled_from(
        ["process_start_time_seconds", "gatekeeper_applied_total", "gatekeeper_halted"]
    ),
)
def test_whatever_others_push_or_write_the_page_is_printed(
    shown: Callable[..., tuple[str, bool]], text: str, value: float, name: str
) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    group = f'instance="{escaped}",job="gatekeeper_worker"'
    page = f"push_time_seconds{{{group}}} 5\n{name}{{{group}}} {value}\n"
    printed, _ = shown(page, text, "FATAL", backlog=f"no {text}")
    assert printed.replace("\n", "").isprintable()
