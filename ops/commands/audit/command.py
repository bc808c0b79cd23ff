"""Compare what was accepted with what the fleet made of it: lost, twice, half, out of order.

`gatekeeper audit` reads the ledger, the tables and the dead letters of the fleet that the settings
name, and takes nothing away. A file of ids (one a line, as the answers gave them) is looked up in
the ledger; a journal, as a trial writes it, also tells what every table must hold.

`gatekeeper audit run` is a whole trial, on a fleet of its own in a folder of its own: a load from
several sources while faults strike, then the verdict. The seed decides on everything random.

Exit status: 0 when nothing is wrong, 1 when something is lost, duplicated, partial, out of order
or not settled, 2 when the audit could not be made.

For example:
  gatekeeper audit --ids accepted.txt
  gatekeeper audit --journal journal.jsonl --format json
  gatekeeper audit run --transactions 2000 --faults 40 --seed 1
  gatekeeper audit run --transactions 500 --faults 10 --kinds kill_worker,bigquery_lose_commit
"""

import argparse
import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ops.runtime.settings import Settings

if TYPE_CHECKING:
    from ops.trial.faults import Fault
    from ops.trial.trial import Outcome
    from ops.trial.trial_verdict import Verdict

CANNOT = 2
WAIT_SECONDS = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--journal", type=Path, metavar="FILE", help="a trial's journal")
    what.add_argument("--ids", type=Path, metavar="FILE", help="accepted ids, one a line")
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long nothing may change until what is missing counts as lost ({WAIT_SECONDS:g})",
    )
    parser.add_argument(
        "--skip-dead-letters",
        action="store_true",
        help="do not look at the dead-letter subscription: some were replayed or discarded",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    verbs = parser.add_subparsers(dest="verb", metavar="run")
    told = "a whole trial: a fleet of its own, a load, faults, the verdict"
    trial = verbs.add_parser("run", help=told, description=told)
    trial.add_argument("--transactions", type=_positive, default=2_000, metavar="N")
    trial.add_argument("--faults", type=_whole, default=40, metavar="M")
    trial.add_argument("--seed", type=_whole, default=1, metavar="S")
    trial.add_argument("--kinds", metavar="A,B", help="only these faults; --kinds help lists them")
    trial.add_argument("--folder", type=Path, metavar="DIR", help="where the fleet lives")
    trial.add_argument("--keep", action="store_true", help="keep the folder: logs, journal, state")
    trial.add_argument("--format", choices=("table", "json"), default="table")


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError("a whole number is expected")
    return int(text)


def _positive(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return number


class _CannotAudit(Exception):
    """The audit cannot be made; the text says why."""


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Audit, or make a trial; see the module's exit status."""
    try:
        if options.verb == "run":
            return _trial(options)
        return _audit(options, settings)
    except _CannotAudit as error:
        sys.stderr.write(f"gatekeeper: {error}\n")
        return CANNOT


def _audit(options: argparse.Namespace, settings: Settings) -> int:
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415  # `run --help` is quick

    from ops.trial import trial_report as report  # noqa: PLC0415
    from ops.trial.evidence import Unreachable  # noqa: PLC0415
    from ops.trial.journal import InvalidJournal  # noqa: PLC0415

    if not options.journal and not options.ids:
        raise _CannotAudit("say what was accepted: --journal FILE or --ids FILE, or `audit run`")
    try:
        verdict = asyncio.run(_compare(options, settings))
    except (OSError, UnicodeDecodeError, InvalidJournal, Unreachable) as error:
        raise _CannotAudit(str(error)) from error
    except GoogleAPICallError as error:
        raise _CannotAudit(f"Pub/Sub: {error.message}") from error
    report.write_verdict(verdict, options.format)
    return 0 if verdict.clean else 1


async def _compare(options: argparse.Namespace, settings: Settings) -> "Verdict":
    from ops.trial import journal  # noqa: PLC0415
    from ops.trial.compare import Evidence, compare, compare_ids  # noqa: PLC0415
    from ops.trial.evidence import Reader, gather, wait_until_settled  # noqa: PLC0415
    from ops.trial.trial_progress import Shown  # noqa: PLC0415

    if options.ids:
        ids = [line.strip() for line in options.ids.read_text().splitlines() if line.strip()]
    else:
        history = journal.read(options.journal)
        ids = [key[0] for key in history.accepted()]
    with contextlib.closing(Reader(settings)) as reader, Shown() as shown:
        await wait_until_settled(
            reader,
            ids,
            patience=options.wait,
            told=lambda settled, _: shown("settled", settled, len(set(ids))),
        )
        letters = not options.skip_dead_letters
        if options.ids:
            evidence = Evidence(
                ledger=await reader.settled(ids),
                letters=await reader.letters() if letters else None,
            )
            return compare_ids(ids, evidence)
        evidence = await gather(
            reader, history, with_letters=letters, told=lambda what: shown(what, 0, 0)
        )
        return compare(history, evidence)


def _trial(options: argparse.Namespace) -> int:
    from ops.rig import RunFailed  # noqa: PLC0415
    from ops.trial import trial_report as report  # noqa: PLC0415
    from ops.trial.evidence import Unreachable  # noqa: PLC0415
    from ops.trial.faults import KINDS  # noqa: PLC0415

    if options.kinds == "help":
        sys.stdout.write("\n".join(KINDS) + "\n")
        return 0
    kinds = _kinds(options.kinds, KINDS)
    folder = _folder(options)
    try:
        outcome = asyncio.run(_run(options, kinds, folder))
    except (RunFailed, Unreachable, OSError) as error:
        raise _CannotAudit(str(error)) from error
    except asyncio.CancelledError:
        return 130
    finally:
        if options.keep:
            sys.stderr.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    report.write_outcome(outcome, options.format)
    return 0 if outcome.clean else 1


def _kinds(text: str | None, known: "dict[str, Fault]") -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(text.split(","))) if text else tuple(known)
    unknown = [kind for kind in kinds if kind not in known]
    if unknown:
        raise _CannotAudit(f"no such fault: {', '.join(unknown)}; --kinds help lists them")
    return kinds


def _folder(options: argparse.Namespace) -> Path:
    if options.folder is None:
        return Path(tempfile.mkdtemp(prefix="gatekeeper-audit-"))
    folder: Path = options.folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise _CannotAudit(f"{folder} is not empty: a trial needs a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def _run(options: argparse.Namespace, kinds: tuple[str, ...], folder: Path) -> "Outcome":
    from ops.trial.trial import Plan, Trial  # noqa: PLC0415
    from ops.trial.trial_progress import Shown  # noqa: PLC0415

    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine runs in one
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    plan = Plan(options.transactions, options.faults, options.seed, kinds)
    with Shown() as shown:
        return await Trial(plan, folder, shown).run()
