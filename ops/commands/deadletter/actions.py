"""What the four verbs of `gatekeeper deadletter` do. Each returns an exit status."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ops.commands.command_app import agreed
from ops.commands.deadletter import rejection_output as output
from ops.commands.deadletter.replay_outcomes import outcomes
from ops.commands.failure import CommandFailed
from ops.rejections.rejection_ledger import RejectionLedger
from ops.rejections.replay import Replay, ReplayAction, ReplayDecision
from ops.rejections.selection import Selection
from ops.rejections.stored_rejection import StoredRejection
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error, write_json, write_line


class ReplayOptions(NamedTuple):
    """`wait`: for how many seconds the command waits for the workers; 0 for not at all."""

    new_id: bool
    dry_run: bool
    wait: int


def list_newest(settings: Settings, selection: Selection, *, as_json: bool, newest: int) -> int:
    with contextlib.closing(RejectionLedger(settings)) as ledger:
        found, more = ledger.open_rejections(selection, newest=True)
    now = datetime.now(UTC)
    if as_json:
        output.print_list_json(found, newest, now, more=more)
    else:
        output.print_list(found, newest, now)
    _report_more(found, more=more)
    return 0


def show(settings: Settings, selection: Selection, *, as_json: bool) -> int:
    with contextlib.closing(RejectionLedger(settings)) as ledger:
        chosen, more = ledger.open_rejections(selection, bodies=True)
    show_one = output.print_rejection_json if as_json else output.print_rejection
    for each in chosen:
        show_one(each, datetime.now(UTC))
    _report_more(chosen, more=more)
    return int(_report_missing(chosen, selection))


def discard(settings: Settings, selection: Selection, *, as_json: bool, confirmed: bool) -> int:
    with contextlib.closing(RejectionLedger(settings)) as ledger:
        chosen, more = ledger.open_rejections(selection)
        missing = _report_missing(chosen, selection)
        _report_more(chosen, more=more)
        question = f"Discard {len(chosen):,} rejected transactions?"
        if chosen and not confirmed and not agreed(question):
            raise CommandFailed("nothing is discarded")
        ledger.resolve(chosen, "discarded")
    now = datetime.now(UTC)
    if as_json:
        for each in chosen:
            write_json({**output.described(each, now), "action": "discard"})
    elif chosen:
        write_line(f"{len(chosen):,} discarded")
    return int(missing)


def replay(
    settings: Settings, selection: Selection, *, as_json: bool, options: ReplayOptions
) -> int:
    return asyncio.run(_replay(settings, selection, as_json=as_json, options=options))


async def _replay(
    settings: Settings, selection: Selection, *, as_json: bool, options: ReplayOptions
) -> int:
    with contextlib.closing(RejectionLedger(settings)) as ledger:
        chosen, more = await asyncio.to_thread(ledger.open_rejections, selection, bodies=True)
        failed = _report_missing(chosen, selection)
        _report_more(chosen, more=more)
        if not chosen:
            return int(failed)
        async with contextlib.aclosing(Replay(settings, ledger)) as replaying:
            decisions = await replaying.decisions(chosen, new_id=options.new_id)
            failed |= any(each.action is ReplayAction.REFUSED for each in decisions)
            if options.dry_run:
                output.print_decisions(decisions, done=False, as_json=as_json)
                return int(failed)
            started = datetime.now(UTC)
            replayed = await _carry_out(decisions, replaying, as_json=as_json)
        if options.wait and replayed:
            settled = await _wait(ledger, replayed, started, options.wait, as_json=as_json)
            failed |= not settled
        else:
            output.print_decisions(replayed, done=True, as_json=as_json)
    return int(failed)


async def _carry_out(
    decisions: Sequence[ReplayDecision], replaying: Replay, *, as_json: bool
) -> list[ReplayDecision]:
    """Print what is not published, as soon as that is done; return the published."""
    refused = [each for each in decisions if each.action is ReplayAction.REFUSED]
    output.print_decisions(refused, done=True, as_json=as_json)
    replayed: list[ReplayDecision] = []
    async for part in replaying.carry_out(decisions):
        if part[0].action is ReplayAction.REPLAY:
            replayed += part
        else:
            output.print_decisions(part, done=True, as_json=as_json)
    return replayed


async def _wait(
    ledger: RejectionLedger,
    replayed: Sequence[ReplayDecision],
    started: datetime,
    seconds: int,
    *,
    as_json: bool,
) -> bool:
    """Print each outcome as soon as it is known; return whether all were applied."""
    write_error(f"{len(replayed):,} published; waiting for the workers (at most {seconds} s)")
    waiting = {(each.rejected.id, each.rejected.sha256): each for each in replayed}
    all_applied = True
    async for each, rejection in outcomes(ledger, replayed, started, seconds):
        del waiting[each.rejected.id, each.rejected.sha256]
        all_applied &= rejection is None
        output.print_outcome(each, rejection, settled=True, as_json=as_json)
    for each in waiting.values():
        output.print_outcome(each, None, settled=False, as_json=as_json)
    return all_applied and not waiting


def _report_missing(chosen: Sequence[StoredRejection], selection: Selection) -> bool:
    """Print the ids that have no open rejection, and return whether there are any."""
    found = {each.id for each in chosen}
    missing = [each for each in selection.ids if each not in found]
    for each in missing:
        write_error(f"gatekeeper: there is no open rejection of {each}")
    if not chosen and not missing:
        write_error("there are no such rejected transactions")
    return bool(missing)


def _report_more(found: Sequence[StoredRejection], *, more: bool) -> None:
    if more:
        write_error(f"stopped at {len(found):,}: there are more (--limit N)")
