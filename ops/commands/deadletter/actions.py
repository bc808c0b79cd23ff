"""What the four verbs of `gatekeeper deadletter` do. Each returns an exit status."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime

from ops.commands.deadletter import dead_letter_output as output
from ops.commands.deadletter.dead_letter_queue import DeadLetterQueue, opened
from ops.commands.deadletter.replay import Replay, ReplayAction, ReplayDecision
from ops.commands.deadletter.selection import Selection
from ops.runtime.letter import DeadLetter
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error


@contextlib.asynccontextmanager
async def _pulled(
    settings: Settings, selection: Selection
) -> AsyncIterator[tuple[DeadLetterQueue, list[DeadLetter]]]:
    async with opened(settings) as queue:
        letters = await queue.pull(selection.limit, selection.quiet_seconds)
        yield queue, letters
        if queue.more:
            write_error(f"stopped at {len(letters):,}: there may be more (--limit N)")


async def list_newest(
    settings: Settings, selection: Selection, *, as_json: bool, newest: int
) -> int:
    async with _pulled(settings, selection) as (queue, letters):
        now = datetime.now(UTC)
        if as_json:
            output.print_list_json(letters, newest, now, more=queue.more)
        else:
            output.print_list(letters, newest, now)
    return 0


async def show(settings: Settings, selection: Selection, *, as_json: bool) -> int:
    async with _pulled(settings, selection) as (queue, letters):
        chosen = selection.choose(letters)
        missing = _report_missing(chosen, selection, more=queue.more)
        show_one = output.print_letter_json if as_json else output.print_letter
        for letter in chosen:
            show_one(letter, datetime.now(UTC))
    return int(missing)


async def discard(settings: Settings, selection: Selection, *, as_json: bool, dry_run: bool) -> int:
    async with _pulled(settings, selection) as (queue, letters):
        chosen = selection.choose(letters)
        missing = _report_missing(chosen, selection, more=queue.more)
        if not dry_run:
            await queue.ack(chosen)
        verb = "would be discarded" if dry_run else "discarded"
        for letter in chosen:
            output.print_discarded(letter, datetime.now(UTC), verb, as_json=as_json)
    return int(missing)


async def replay(
    settings: Settings, selection: Selection, *, as_json: bool, dry_run: bool, new_id: bool
) -> int:
    async with _pulled(settings, selection) as (queue, letters):
        chosen = selection.choose(letters)
        failed = _report_missing(chosen, selection, more=queue.more)
        if not chosen:
            return int(failed)
        async with contextlib.aclosing(Replay(settings)) as replaying:
            decisions = await replaying.decisions(chosen, new_id=new_id)
            if dry_run:
                _print(decisions, done=False, as_json=as_json)
            else:
                await _carry_out(decisions, replaying, queue, as_json=as_json)
        refused = any(each.action is ReplayAction.REFUSED for each in decisions)
    return int(failed or refused)


ACTIONS: dict[str, Callable[..., Coroutine[None, None, int]]] = {
    "list": list_newest,
    "show": show,
    "discard": discard,
    "replay": replay,
}


def _report_missing(chosen: list[DeadLetter], selection: Selection, *, more: bool) -> bool:
    """Print the ids that are no dead letters, and return whether there are any."""
    found = {letter.id for letter in chosen}
    missing = [each for each in selection.ids if each not in found]
    among = f" among the first {selection.limit:,}" if more else ""
    for each in missing:
        write_error(f"gatekeeper: there is no dead letter {each}{among}")
    if not chosen and not missing:
        write_error("there are no such dead letters")
    return bool(missing)


async def _carry_out(
    decisions: list[ReplayDecision], replaying: Replay, queue: DeadLetterQueue, *, as_json: bool
) -> None:
    """Replay, acknowledge, then print, part by part: a failure leaves the rest unchanged."""
    applied = [each for each in decisions if each.action is ReplayAction.ALREADY_APPLIED]
    if applied:
        await queue.ack(each.letter for each in applied)
    _print(applied, done=True, as_json=as_json)
    refused = [each for each in decisions if each.action is ReplayAction.REFUSED]
    _print(refused, done=True, as_json=as_json)
    async for replayed in replaying.send(decisions):
        await queue.ack(each.letter for each in replayed)
        _print(replayed, done=True, as_json=as_json)


def _print(decisions: list[ReplayDecision], *, done: bool, as_json: bool) -> None:
    for decision in decisions:
        output.print_decision(decision, done=done, as_json=as_json)
