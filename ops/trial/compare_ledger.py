"""Compares the ledger with the accepted transactions, their order and the model. Pure."""

from collections.abc import Sequence

from ops.trial.audit_report import AuditReport
from ops.trial.comparison import Comparison, Evidence, LedgerRow, named
from ops.trial.journal import Sent, SentKey

_BY_ORDER = {"table_missing", "column_missing", "type_conflict", "idempotency_conflict"}


def run(case: Comparison) -> None:
    """Check every accepted transaction's ledger rows, outcome and place in its stream."""
    for key, rows in case.ledger.items():
        _check_rows(case, key, rows)
    _check_ids(case)
    for key in case.outcomes:
        if key not in case.duplicated:
            _check_outcome(case, key)
    for stream in case.history.streams.values():
        _check_order(case, stream)
    for key in case.accepted:
        if key not in case.outcomes:
            _check_unsettled(case, key)


def count(report: AuditReport, rows: Sequence[LedgerRow]) -> int:
    """Count one transaction as applied or rejected; return how many of its rows are applied."""
    applied = sum(row.state == "applied" for row in rows)
    if applied:
        report.applied += 1
    else:
        report.rejected[rows[0].reason or "unknown"] += 1
    return applied


def missing(report: AuditReport, who: str, evidence: Evidence) -> None:
    """Count an accepted transaction without a ledger row as unsettled or lost."""
    if evidence.backlog:
        report.unsettled += 1
    else:
        report.find("lost", who, "accepted, and not in the ledger")


def _check_rows(case: Comparison, key: SentKey, rows: Sequence[LedgerRow]) -> None:
    count(case.report, rows)
    if len(rows) > 1:
        case.duplicated.add(key)
        states = ", ".join(row.reason or row.state for row in rows)
        case.find("duplicated", key, f"{len(rows)} rows in the ledger: {states}")


def _check_ids(case: Comparison) -> None:
    applied: dict[str, list[SentKey]] = {}
    for key, rows in case.ledger.items():
        if any(row.state == "applied" for row in rows):
            applied.setdefault(key[0], []).append(key)
    for keys in applied.values():
        if len(keys) > 1:
            case.duplicated |= set(keys)
            case.find("duplicated", keys[0], f"{len(keys)} bodies applied under one id")


def _check_outcome(case: Comparison, key: SentKey) -> None:
    found, due = case.outcomes[key], case.expected.decided[key]
    if found == due:
        return
    case.wrong.add(key)
    text = f"{found or 'applied'} in place of {due or 'applied'}"
    if found in _BY_ORDER or due in _BY_ORDER:
        case.find("out_of_order", key, text)
    else:
        case.find("partial" if found is None else "lost", key, text)


def _check_order(case: Comparison, stream: list[Sent]) -> None:
    latest, before = "", None
    checked: set[SentKey] = set()
    for key in (sent.key for sent in stream):
        rows = case.evidence.ledger.get(key)
        if not rows or key in checked or key in case.duplicated:
            continue
        checked.add(key)
        settled = rows[0].settled_at
        if before is not None and settled < latest:
            case.find("out_of_order", key, f"settled before {case.describe(before)}")
        else:
            latest, before = settled, key


def _check_unsettled(case: Comparison, key: SentKey) -> None:
    if there := case.existing(case.inserted.get(key, [])):
        case.find("partial", key, f"{named(there)} is there, its ledger row is not")
    else:
        missing(case.report, case.describe(key), case.evidence)
