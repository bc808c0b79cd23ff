"""Prints dead letters: tables for people, JSON for programs."""

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from ops.commands.console import PlainConsole, styled
from ops.commands.deadletter.replay import ReplayAction, ReplayDecision
from ops.commands.text_format import duration
from ops.runtime.letter import DeadLetter
from ops.runtime.terminal import write_json, write_line

_NO_TABLE = "(none)"


def counts(letters: Iterable[DeadLetter]) -> list[tuple[str, str, int]]:
    """Count by reason and table, highest first; a letter with two tables counts for both."""
    found = Counter(
        (letter.reason, table) for letter in letters for table in letter.tables or (_NO_TABLE,)
    )
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, table, count) for (reason, table), count in ordered]


def print_list(letters: Sequence[DeadLetter], newest: int, now: datetime) -> None:
    out = PlainConsole()
    if not letters:
        out.print("no dead letters")
        return
    summary = Table("reason", "table", header_style="bold")
    summary.add_column("dead letters", justify="right")
    for reason, table, count in counts(letters):
        summary.add_row(styled(reason), styled(table), f"{count:,}")
    out.print(summary)
    entries = Table(header_style="bold")
    for name in ("id", "reason", "error", "tables"):
        entries.add_column(name, overflow="fold")
    entries.add_column("age", justify="right", no_wrap=True)
    for letter in letters[::-1][:newest]:
        texts = (letter.id, letter.reason, letter.error, ", ".join(letter.tables))
        entries.add_row(*map(styled, texts), duration(letter.age_seconds(now)))
    out.print(entries)
    shown = min(newest, len(letters))
    out.print(f"{len(letters):,} dead letters, the newest {shown:,} shown: --newest N shows more")


def print_list_json(
    letters: Sequence[DeadLetter], newest: int, now: datetime, *, more: bool
) -> None:
    """Write one JSON object: the counts and the newest letters."""
    by_reason = Counter(letter.reason for letter in letters)
    document = {
        "dead_letters": len(letters),
        "more": more,
        "by_reason": dict(by_reason.most_common()),
        "counts": [
            {"reason": reason, "table": None if table == _NO_TABLE else table, "dead_letters": n}
            for reason, table, n in counts(letters)
        ],
        "newest": [described(letter, now) for letter in letters[::-1][:newest]],
    }
    write_json(document)


def described(letter: DeadLetter, now: datetime) -> dict[str, Any]:
    """Return the JSON fields of a letter, without its body."""
    return {
        "id": letter.id,
        "reason": letter.reason,
        "error": letter.error,
        "tables": list(letter.tables),
        "age_seconds": round(letter.age_seconds(now), 1),
        "source": letter.source,
        "ordering_key": letter.ordering_key,
        "received_at": letter.received_at,
        "sha256": letter.sha256,
        "copies": len(letter.ack_ids),
    }


def print_letter(letter: DeadLetter, now: datetime) -> None:
    facts = described(letter, now)
    facts |= {"tables": ", ".join(letter.tables), "age": duration(facts.pop("age_seconds"))}
    for name, value in facts.items():
        write_line(f"{name:13} {value}")
    write_line("\n" + letter.data.decode(errors="backslashreplace"), keep="\n")


def print_letter_json(letter: DeadLetter, now: datetime) -> None:
    """Write one line of JSON: `body` is the text, or null and `body_base64` if it is not UTF-8."""
    body: dict[str, str | None]
    try:
        body = {"body": letter.data.decode()}
    except UnicodeDecodeError:
        body = {"body": None, "body_base64": base64.b64encode(letter.data).decode()}
    write_json({**described(letter, now), **body})


_DONE = {
    ReplayAction.REPLAY: ("replayed", "would be replayed"),
    ReplayAction.ALREADY_APPLIED: ("removed", "would be removed"),
    ReplayAction.REFUSED: ("refused", "would be refused"),
}


def print_decision(decision: ReplayDecision, *, done: bool, as_json: bool) -> None:
    letter = decision.letter
    if as_json:
        write_json(
            {
                "id": letter.id,
                "sha256": letter.sha256,
                "reason": letter.reason,
                "action": decision.action,
                "done": done,
                "as": decision.id,
                "detail": decision.detail,
            }
        )
        return
    verb = _DONE[decision.action][0 if done else 1]
    detail = f": {decision.detail}" if decision.detail else ""
    write_line(f"{letter.id} ({letter.reason}): {verb}{detail}")


def print_discarded(letter: DeadLetter, now: datetime, verb: str, *, as_json: bool) -> None:
    if as_json:
        write_json({**described(letter, now), "action": "discard"})
    else:
        write_line(f"{letter.id} ({letter.reason}): {verb}")
