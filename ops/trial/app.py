"""`gatekeeper audit`."""

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from typer import Context, Option

from ops.commands.command_app import Json, command_app, command_settings, examples, number_between
from ops.commands.failure import CommandFailed, WrongUse, describe_os_error
from ops.runtime.terminal import write_error, write_line

if TYPE_CHECKING:
    from ops.runtime.settings import Settings
    from ops.trial.audit_report import AuditReport
    from ops.trial.fault_target import Fault
    from ops.trial.trial import TrialPlan, TrialResult

CANNOT_AUDIT = 2
"""Exit status when the audit could not be made; 1 is a defect that it found."""
STRICT_LOCATION = "europe-west6"
"""With --strict: a region in which BigQuery finds jobs with their location only."""

app = command_app()


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "gatekeeper audit --ids accepted.txt",
        "gatekeeper audit --journal journal.jsonl --json",
        "gatekeeper audit run --transactions 2000 --faults 40 --seed 1",
        "gatekeeper audit run --faults 10 --kinds kill_worker,bigquery_lose_commit",
        "gatekeeper audit run --machines 3 --strict --transactions 2000 --faults 20",
    ),
)
def audit(
    context: Context,
    *,
    journal: Path | None = Option(None, metavar="FILE", help="The journal of a trial."),
    ids: Path | None = Option(None, metavar="FILE", help="Accepted ids, one a line."),
    wait: float = Option(
        30.0,
        metavar="SECONDS",
        parser=number_between(0, 86_400),
        help="A missing transaction counts as lost after this time without any change.",
    ),
    skip_dead_letters: bool = Option(
        False,
        "--skip-dead-letters",
        help="Do not read the dead letters, because some were replayed.",
    ),
    as_json: Json = False,
) -> int:
    """Check that every accepted transaction was applied once, completely and in order.

    Compares accepted transactions with the ledger, the tables and the dead letters of the fleet
    in the settings. It changes nothing. With --ids only the ledger is checked; with the --journal
    of a trial, the contents of every table too.

    `audit run` runs a whole trial: it starts its own fleet in its own folder, sends load from
    several sources while it injects faults, then checks. The seed determines everything random.

    Exit status: 0 if nothing is wrong; 1 if a transaction is lost, duplicated, partial, out of
    order or not settled; 2 if the check was not possible.
    """
    if context.invoked_subcommand:
        return 0
    settings = command_settings()
    if journal and ids:
        raise WrongUse("give --journal or --ids, not both")
    if not (journal or ids):
        raise CommandFailed(
            "nothing to compare: give --journal FILE or --ids FILE, or use `audit run`",
            CANNOT_AUDIT,
        )
    import asyncio

    from ops.trial.trial_output import write_report

    with _reported():
        report = asyncio.run(
            _compare(
                settings,
                journal,
                _read_ids(ids),
                wait=wait,
                with_letters=not skip_dead_letters,
            )
        )
    write_report(report, as_json=as_json)
    return 0 if report.clean else 1


@app.command()
def run(
    *,
    transactions: int = Option(2_000, min=1, metavar="N", help="How many to send."),
    faults: int = Option(40, min=0, metavar="M", help="How many to inject."),
    seed: int = Option(1, min=0, metavar="S", help="Determines everything random."),
    kinds: str | None = Option(None, metavar="A,B", help="Only these faults; `help` lists them."),
    machines: int = Option(
        1, min=1, max=9, metavar="N", help="Supervisords on one Pub/Sub and one BigQuery."
    ),
    folder: Path | None = Option(None, metavar="DIR", help="Where the fleet keeps its files."),
    keep: bool = Option(False, "--keep", help="Keep the folder: logs, journal and state."),
    strict: bool = Option(
        False, "--strict", help="Have BigQuery's documented quotas, latency, conflicts, locations."
    ),
    as_json: Json = False,
) -> int:
    """Run a trial: a new fleet, load, faults, then the check."""
    import asyncio

    from ops.trial.fault_kinds import KINDS
    from ops.trial.trial import TrialPlan
    from ops.trial.trial_output import write_trial
    from ops.trial.trial_scale import TrialScale

    command_settings()
    if kinds == "help":
        write_line("\n".join(KINDS), keep="\n")
        return 0
    plan = TrialPlan(
        transactions,
        faults,
        seed,
        _chosen(kinds, KINDS),
        machines=machines,
        scale=TrialScale.of(transactions),
        strict=("--location", STRICT_LOCATION, "--seed", str(seed)) if strict else None,
    )
    write_error(plan.scale.text(strict=strict))
    with _trial_folder(folder, keep=keep) as where, _reported():
        try:
            result = asyncio.run(_try(plan, where))
        except asyncio.CancelledError:
            return 130
    write_trial(result, as_json=as_json)
    return 0 if result.clean else 1


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Report what prevents an audit or a trial."""
    from google.api_core.exceptions import GoogleAPICallError

    from ops.rig import RunFailed
    from ops.trial.fleet_reader import Unreachable
    from ops.trial.journal import InvalidJournal

    try:
        yield
    except OSError as error:
        raise CommandFailed(describe_os_error(error), CANNOT_AUDIT) from error
    except (InvalidJournal, Unreachable, RunFailed) as error:
        raise CommandFailed(str(error), CANNOT_AUDIT) from error
    except GoogleAPICallError as error:
        raise CommandFailed(f"Pub/Sub: {error.message}", CANNOT_AUDIT) from error


def _read_ids(file: Path | None) -> list[str]:
    try:
        return file.read_text().split() if file else []
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file} has no ids: {error}", CANNOT_AUDIT) from None


async def _compare(
    settings: "Settings", journal: Path | None, ids: list[str], *, wait: float, with_letters: bool
) -> "AuditReport":
    from ops.trial.compare import compare, compare_ids
    from ops.trial.comparison import Evidence
    from ops.trial.fleet_reader import FleetReader, gather, wait_until_settled
    from ops.trial.journal import read
    from ops.trial.progress_lines import ProgressLines

    history = read(journal) if journal else None
    accepted = [key[0] for key in history.accepted()] if history else ids
    with contextlib.closing(FleetReader(settings)) as reader:
        show = ProgressLines()
        await wait_until_settled(
            reader,
            accepted,
            patience=wait,
            on_progress=lambda settled, _: show("settled", settled, len(set(accepted))),
        )
        if history:
            evidence = await gather(
                reader, history, with_letters=with_letters, on_progress=lambda at: show(at, 0, 0)
            )
            return compare(history, evidence)
        evidence = Evidence(
            ledger=await reader.settled(accepted),
            letters=await reader.letters() if with_letters else None,
        )
        return compare_ids(accepted, evidence)


def _chosen(text: str | None, known: "dict[str, Fault]") -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(text.split(","))) if text else tuple(known)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise CommandFailed(
            f"no such fault: {', '.join(unknown)}; --kinds help lists them", CANNOT_AUDIT
        )
    return kinds


@contextlib.contextmanager
def _trial_folder(folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """Yield an empty folder, and remove it at the end if it is not to be kept."""
    where = folder.resolve() if folder else Path(tempfile.mkdtemp(prefix="gatekeeper-audit-"))
    if where.exists() and not where.is_dir():
        raise CommandFailed(f"{where} is no folder", CANNOT_AUDIT)
    if where.exists() and any(where.iterdir()):
        raise CommandFailed(f"{where} is not empty: a trial needs its own folder", CANNOT_AUDIT)
    where.mkdir(parents=True, exist_ok=True)
    try:
        yield where
    finally:
        if keep:
            write_error(f"kept: {where}")
        else:
            shutil.rmtree(where, ignore_errors=True)


async def _try(plan: "TrialPlan", folder: Path) -> "TrialResult":
    import asyncio

    from ops.trial.progress_lines import ProgressLines
    from ops.trial.trial import Trial

    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine runs in one
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await Trial(plan, folder, ProgressLines()).run()
