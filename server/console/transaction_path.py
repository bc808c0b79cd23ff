"""The way of one transaction, from the gate to its end, in words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from schema import lane_name, lane_of_id
from server.spool import SpooledMessage

type Row = Mapping[str, Any]
"""A row of the ledger or of `gatekeeper_rejected`; times are RFC 3339."""


class Unknown(NamedTuple):
    """Why something could not be read."""

    why: str


class Found(NamedTuple):
    """What each place has of an id: the machine's spool, the ledger, the rejected."""

    spooled: SpooledMessage | Unknown | None
    ledger: Sequence[Row] | Unknown
    rejected: Sequence[Row] | Unknown


class PathStep(NamedTuple):
    """A place, what is known there, and whether that is good, bad, a warning, or nothing."""

    place: str
    text: str
    kind: str = ""


GATE: Final = "Gate"
QUEUE: Final = "Spool and Pub/Sub"
WORKERS: Final = "Workers and ledger"
REJECTED: Final = "Rejected transactions"


def path_of(id_: str, found: Found, machine: str, lanes: int, ledger_days: int) -> dict[str, Any]:
    """Return the steps, and `open`: the rejections that can be replayed or discarded.

    `machine` is the one whose spool was read.
    """
    lane = lane_of_id(id_, lanes)
    steps = [
        _gate(found),
        _queue(found, machine),
        *_workers(found, ledger_days),
        *_rejected(found),
    ]
    return {
        "id": id_,
        "lane": None if lane is None else lane_name(lane),
        "steps": [step._asdict() for step in steps],
        "open": [row for row in _rows(found.rejected) if row["resolution"] is None],
    }


def _rows(rows: Sequence[Row] | Unknown) -> Sequence[Row]:
    return () if isinstance(rows, Unknown) else rows


def _gate(found: Found) -> PathStep:
    if isinstance(found.spooled, SpooledMessage):
        message = found.spooled.message
        return PathStep(GATE, _accepted(message.received_at, message.source), "good")
    for row in (*_rows(found.ledger), *_rows(found.rejected)):
        return PathStep(GATE, _accepted(row["received_at"], row["source"]), "good")
    return PathStep(
        GATE, "Not known: neither the spool of this machine nor the warehouse has this id."
    )


def _accepted(received_at: str | None, source: str | None) -> str:
    when = f"at {_time(received_at)}" if received_at else "at a time that is not known"
    return f"Accepted {when}, from the source {source or '(none)'}."


def _queue(found: Found, machine: str) -> PathStep:
    spooled = found.spooled
    if isinstance(spooled, SpooledMessage):
        where = f"On the disk of {machine} since {_time(spooled.spooled_at.isoformat())}"
        if spooled.error is None:
            return PathStep(QUEUE, f"{where}: Pub/Sub does not have it yet.", "warn")
        why = f"{where}: Pub/Sub refuses it: {spooled.error}. See `gatekeeper spool list`."
        return PathStep(QUEUE, why, "bad")
    if _rows(found.ledger) or _rows(found.rejected):
        return PathStep(QUEUE, "Pub/Sub had it: a worker received it.", "good")
    elsewhere = "It may wait in Pub/Sub or on the disk of another machine, or there is no such one."
    if isinstance(spooled, Unknown):
        return PathStep(QUEUE, f"Not known: {spooled.why}. {elsewhere}")
    return PathStep(QUEUE, f"Not known: it is not on the disk of {machine}. {elsewhere}")


def _workers(found: Found, ledger_days: int) -> Iterator[PathStep]:
    if isinstance(found.ledger, Unknown):
        yield PathStep(WORKERS, f"Not known: {found.ledger.why}.")
    elif not found.ledger:
        text = f"No worker has settled it, or it is older than {ledger_days} days."
        yield PathStep(WORKERS, text)
    else:
        for row in found.ledger:
            yield _settled(row)


def _settled(row: Row) -> PathStep:
    took = _seconds_between(row["received_at"], row["settled_at"])
    after = "" if took is None else f", {took:,.1f} s after it was received"
    where = f"by {row['worker'] or 'a worker that is not known'} in {row['lane']}{after}"
    if row["state"] == "applied":
        number = row["activities"]
        many = "" if number is None else f" Activities: {number:,}."
        return PathStep(WORKERS, f"Applied at {_time(row['settled_at'])} {where}.{many}", "good")
    why = _why(row)
    return PathStep(WORKERS, f"Rejected at {_time(row['settled_at'])} {where}: {why}", "bad")


def _rejected(found: Found) -> Iterator[PathStep]:
    if isinstance(found.rejected, Unknown):
        yield PathStep(REJECTED, f"Not known: {found.rejected.why}.")
    elif not found.rejected:
        yield PathStep(REJECTED, "It is not among them.")
    else:
        for row in found.rejected:
            yield _kept(row)


def _kept(row: Row) -> PathStep:
    tables = ", ".join(filter(None, (row["tables"] or "").split(","))) or "not known"
    text = f"Rejected at {_time(row['settled_at'])}: {_why(row)}. Tables: {tables}. "
    if row["resolution"] is None:
        return PathStep(REJECTED, f"{text}It is open: replay or discard it.", "bad")
    return PathStep(REJECTED, f"{text}It was {row['resolution']} at {_time(row['resolved_at'])}.")


def _why(row: Row) -> str:
    return f"{row['reason']}: {row['error']}" if row["error"] else str(row["reason"])


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _seconds_between(earlier: str | None, later: str) -> float | None:
    if earlier is None:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
