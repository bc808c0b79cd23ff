"""Prints rejected transactions: tables for people, JSON for programs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from ops.commands.console import PlainConsole, styled
from ops.commands.json_values import body_fields
from ops.commands.text_format import duration
from ops.rejections.replay import ReplayAction, ReplayDecision, missing_body
from ops.rejections.stored_rejection import StoredRejection
from ops.runtime.terminal import write_json, write_line
from schema import Rejection

_NO_TABLE = "(none)"


def counts(rejections: Iterable[StoredRejection]) -> list[tuple[str, str, int]]:
    """Count by reason and table, highest first; one with two tables counts for both."""
    found = Counter(
        (each.reason, table) for each in rejections for table in each.tables or (_NO_TABLE,)
    )
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, table, count) for (reason, table), count in ordered]


def print_list(rejections: Sequence[StoredRejection], newest: int, now: datetime) -> None:
    """Print the counts, and the newest; `rejections` are the oldest first."""
    out = PlainConsole()
    if not rejections:
        out.print("no rejected transactions")
        return
    summary = Table("reason", "table", header_style="bold")
    summary.add_column("rejected", justify="right")
    for reason, table, count in counts(rejections):
        summary.add_row(styled(reason), styled(table), f"{count:,}")
    out.print(summary)
    entries = Table(header_style="bold")
    for name in ("id", "reason", "error", "source", "tables"):
        entries.add_column(name, overflow="fold")
    entries.add_column("age", justify="right", no_wrap=True)
    for each in rejections[::-1][:newest]:
        texts = (each.id, each.reason, each.error, each.source, ", ".join(each.tables))
        entries.add_row(*map(styled, texts), duration(each.age_seconds(now)))
    out.print(entries)
    shown = min(newest, len(rejections))
    out.print(f"{len(rejections):,} rejected, the newest {shown:,} shown: --newest N shows more")


def print_list_json(
    rejections: Sequence[StoredRejection], newest: int, now: datetime, *, more: bool
) -> None:
    """Write one JSON object: the counts and the newest rejections."""
    by_reason = Counter(each.reason for each in rejections)
    document = {
        "rejected": len(rejections),
        "more": more,
        "by_reason": dict(by_reason.most_common()),
        "counts": [
            {"reason": reason, "table": None if table == _NO_TABLE else table, "rejected": n}
            for reason, table, n in counts(rejections)
        ],
        "newest": [described(each, now) for each in rejections[::-1][:newest]],
    }
    write_json(document)


def described(each: StoredRejection, now: datetime) -> dict[str, Any]:
    """Return the JSON fields of a rejection, without its body."""
    return {
        "id": each.id,
        "reason": each.reason,
        "error": each.error,
        "tables": list(each.tables),
        "age_seconds": round(each.age_seconds(now), 1),
        "source": each.source,
        "ordering_key": each.ordering_key,
        "lane": each.lane,
        "received_at": each.received_at and each.received_at.isoformat(),
        "settled_at": each.settled_at.isoformat(),
        "sha256": each.sha256,
        "body_bytes": each.body_bytes,
    }


def print_rejection(each: StoredRejection, now: datetime) -> None:
    facts = described(each, now)
    facts |= {"tables": ", ".join(each.tables), "age": duration(facts.pop("age_seconds"))}
    for name, value in facts.items():
        write_line(f"{name:13} {value}")
    body = missing_body(each) or (each.data or b"").decode(errors="backslashreplace")
    write_line("\n" + body, keep="\n")


def print_rejection_json(each: StoredRejection, now: datetime) -> None:
    """Write one line of JSON.

    `body` is the text. It is null with `body_base64` if it is not UTF-8, and with `body_missing`,
    a sentence, if it is not stored.
    """
    missing = missing_body(each)
    body = {"body": None, "body_missing": missing} if missing else body_fields(each.data or b"")
    write_json({**described(each, now), **body})


_DONE = {
    ReplayAction.REPLAY: ("replayed", "would be replayed"),
    ReplayAction.ALREADY_APPLIED: ("resolved", "would be resolved"),
    ReplayAction.REFUSED: ("refused", "would be refused"),
}


def print_decisions(decisions: Iterable[ReplayDecision], *, done: bool, as_json: bool) -> None:
    for decision in decisions:
        if as_json:
            write_json({**_decided(decision), "done": done})
            continue
        verb = _DONE[decision.action][0 if done else 1]
        detail = f": {decision.detail}" if decision.detail else ""
        write_line(f"{decision.rejected.id} ({decision.rejected.reason}): {verb}{detail}")


def print_outcome(
    decision: ReplayDecision, rejection: Rejection | None, *, settled: bool, as_json: bool
) -> None:
    """Print what the workers did with a replayed transaction."""
    outcome = ("rejected" if rejection else "applied") if settled else "not yet"
    if as_json:
        again = {"reason": rejection.reason, "error": rejection.error} if rejection else None
        write_json(
            {**_decided(decision), "done": True, "outcome": outcome, "rejected_again": again}
        )
        return
    text = f"rejected again ({rejection.reason}): {rejection.error}" if rejection else outcome
    if not settled:
        text = "published, and not settled yet: GET /api/activities/ID has the outcome later"
    under = f" {decision.detail}" if decision.detail else ""
    write_line(f"{decision.rejected.id} ({decision.rejected.reason}){under}: {text}")


def _decided(decision: ReplayDecision) -> dict[str, Any]:
    return {
        "id": decision.rejected.id,
        "sha256": decision.rejected.sha256,
        "reason": decision.rejected.reason,
        "action": decision.action,
        "as": decision.id,
        "detail": decision.detail,
    }
