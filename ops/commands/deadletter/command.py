"""Look at the transactions that were rejected for good; replay them, or discard them.

Looking takes nothing away: what is pulled is given back. Only `discard` and `replay` remove a dead
letter, `replay` after the transaction is on its way again. It keeps its id, so it is applied once
however often it is replayed. An id that is taken by another body (idempotency_conflict) is refused,
unless --new-id gives the transaction an id of its own, always the same one.

Mend the cause first: create the table, change the column; then replay. While a replay is on its way
its id counts as not settled. Two operators at once share the dead letters between them: each sees
those that the other does not hold.

For example:
  gatekeeper deadletter list
  gatekeeper deadletter show 3f2a…
  gatekeeper deadletter replay --reason table_missing --dry-run
  gatekeeper deadletter replay --reason table_missing
  gatekeeper deadletter replay --reason idempotency_conflict --new-id
  gatekeeper deadletter show --reason invalid_schema --format json > kept.ndjson
  gatekeeper deadletter discard --reason invalid_schema
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime

from google.api_core.exceptions import GoogleAPICallError, NotFound
from requests.exceptions import ConnectionError as HttpUnreachable

from ops.commands.deadletter import tables as page
from ops.commands.deadletter.dead_letter_queue import Queue, opened
from ops.commands.deadletter.letter import Letter
from ops.commands.deadletter.replay import Action, Decision, Replay
from ops.commands.failure import CommandFailed, pubsub_failure, report, warehouse_failure
from ops.runtime.settings import Settings
from workers.outcome import Reason

LIMIT = 1_000
NEWEST = 20
QUIET_SECONDS = 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    told = "what the dead letters are: counts by reason and table, and the newest"
    listing = _verb(verbs, "list", told)
    listing.add_argument("--newest", type=_positive, default=NEWEST, metavar="N")
    for name, does in (
        ("show", "print dead letters whole, the body as it was sent"),
        ("replay", "send transactions to the workers again"),
        ("discard", "remove dead letters for good; the ledger goes on to say `rejected`"),
    ):
        verb = _verb(verbs, name, does)
        verb.add_argument("ids", nargs="*", metavar="ID")
        verb.add_argument("--reason", choices=[*Reason], help="those rejected for this reason")
        if name != "show":
            verb.add_argument("--dry-run", action="store_true", help="say what would happen")
        if name == "replay":
            verb.add_argument(
                "--new-id",
                action="store_true",
                help="give those whose id is taken one of their own",
            )
        if name == "discard":
            verb.add_argument("--all", action="store_true", help="every dead letter")


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, does: str
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=does, description=does)
    verb.add_argument("--format", choices=("text", "json"), default="text")
    verb.add_argument(
        "--limit",
        type=_positive,
        default=LIMIT,
        metavar="N",
        help=f"pull at most so many dead letters ({LIMIT:,})",
    )
    verb.add_argument(
        "--quiet-seconds",
        type=float,
        default=QUIET_SECONDS,
        metavar="S",
        help=f"no more are there when none has come for so long ({QUIET_SECONDS:g})",
    )
    return verb


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on is expected")
    return int(text)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do what the verb says; 1 when something asked for was not there, refused, or failed."""
    try:
        _check(options)
        return asyncio.run(_run(options, settings))
    except CommandFailed as failure:
        return report(failure)
    except NotFound as error:
        text = f"{error.message}: `gatekeeper provision` makes what is missing"
        return report(CommandFailed(text))
    except HttpUnreachable as error:
        return report(warehouse_failure(error, settings))
    except GoogleAPICallError as error:
        said = pubsub_failure if error.grpc_status_code is not None else warehouse_failure
        return report(said(error, settings))


def _check(options: argparse.Namespace) -> None:
    if options.verb == "list" or options.ids or options.reason:
        return
    if not getattr(options, "all", False):
        every = ", or --all" if options.verb == "discard" else ""
        raise CommandFailed(f"say which: ids, or --reason{every} (`gatekeeper deadletter list`)")


async def _run(options: argparse.Namespace, settings: Settings) -> int:
    async with opened(settings) as queue:
        letters = await queue.pull(options.limit, options.quiet_seconds)
        chosen = _chosen(letters, options)
        status = _missing(chosen, queue, options)
        now = datetime.now(UTC)
        match options.verb:
            case "list":
                _list(letters, queue, options, now)
            case "show":
                show = page.print_letter_json if options.format == "json" else page.print_letter
                for letter in chosen:
                    show(letter, now)
            case "discard":
                await _discard(chosen, queue, options, now)
            case "replay":
                status |= await _replay(chosen, queue, options, settings)
        if queue.more:
            sys.stderr.write(f"stopped at {len(letters):,}: there may be more (--limit N)\n")
    return status


def _chosen(letters: list[Letter], options: argparse.Namespace) -> list[Letter]:
    if options.verb == "list":
        return letters
    return [
        letter
        for letter in letters
        if (not options.ids or letter.id in options.ids)
        and (not options.reason or letter.reason == options.reason)
    ]


def _missing(chosen: list[Letter], queue: Queue, options: argparse.Namespace) -> int:
    """Name the ids that are not there, and return the exit status for that."""
    there = {letter.id for letter in chosen}
    missing = [each for each in getattr(options, "ids", []) if each not in there]
    among = f" among the first {options.limit:,}" if queue.more else ""
    for each in missing:
        sys.stderr.write(f"gatekeeper: there is no dead letter {each}{among}\n")
    if options.verb != "list" and not chosen and not missing:
        sys.stderr.write("there are no such dead letters\n")
    return 1 if missing else 0


def _list(letters: list[Letter], queue: Queue, options: argparse.Namespace, now: datetime) -> None:
    if options.format == "json":
        page.print_list_json(letters, options.newest, now, more=queue.more)
    else:
        page.print_list(letters, options.newest, now)


async def _discard(
    chosen: list[Letter], queue: Queue, options: argparse.Namespace, now: datetime
) -> None:
    if not options.dry_run:
        await queue.ack(chosen)
    verb = "would be discarded" if options.dry_run else "discarded"
    for letter in chosen:
        page.print_discarded(letter, now, verb, as_json=options.format == "json")


async def _replay(
    chosen: list[Letter], queue: Queue, options: argparse.Namespace, settings: Settings
) -> int:
    if not chosen:
        return 0
    replay = Replay(settings)
    try:
        decisions = await replay.decisions(chosen, new_id=options.new_id)
        if options.dry_run:
            _tell(decisions, options)
        else:
            await _carry_out(decisions, replay, queue, options)
    finally:
        await replay.close()
    return int(any(each.action is Action.REFUSED for each in decisions))


async def _carry_out(
    decisions: list[Decision], replay: Replay, queue: Queue, options: argparse.Namespace
) -> None:
    """Replay, acknowledge and tell, one after the other: a failure leaves the rest as it is."""
    of = {decision.letter: decision for decision in decisions}
    done = [each for each in decisions if each.action is Action.ALREADY_APPLIED]
    if done:
        await queue.ack(each.letter for each in done)
    _tell(done, options)
    _tell([each for each in decisions if each.action is Action.REFUSED], options)
    async for letters in replay.send(decisions):
        await queue.ack(letters)
        _tell([of[letter] for letter in letters], options)


def _tell(decisions: list[Decision], options: argparse.Namespace) -> None:
    for decision in decisions:
        page.print_decision(decision, done=not options.dry_run, as_json=options.format == "json")
