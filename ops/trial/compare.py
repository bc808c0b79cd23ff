"""Compares the accepted transactions with the ledger, the tables and the dead letters. Pure.

A transaction is an id and a body's hash. It is *accepted* when it was answered 200, or when the
ledger has it although its answer was lost. The defects:

lost
  - accepted, without a ledger row and without an effect after the wait, and no message is left in
    the subscription (if some are left, it is *unsettled*);
  - the ledger has it as applied and nothing of it took effect;
  - rejected for a reason that neither it nor the order of its stream explains
    (`warehouse_rejected`, `too_large`, `invalid_schema`);
  - rejected, and not on the dead-letter subscription with that reason.
duplicated
  - more than one `applied` row of its id, more than one ledger row of it, or both states;
  - a row that it inserted is in its table more than once;
  - applied, and also on the dead-letter subscription.
partial
  - applied, and some but not all of its rows and deletes took effect, or a row has other values;
  - rejected, refused by the server or not in the ledger, and some of its rows exist;
  - a table or column that only transactions named which the plan rejected; a row that nobody sent;
  - applied, although the warehouse refuses a part of it.
out_of_order
  - the ledger settled it before a transaction that its stream sent earlier;
  - a row exists that a later transaction deleted, or is missing that only an earlier one deletes,
    and the two were not settled in the order of sending, or together;
  - applied or rejected as only another order explains: `table_missing`, `column_missing`,
    `type_conflict` and `idempotency_conflict` in place of the model's outcome, or the reverse; a
    column's type is not that of the first transaction that named it.

No defect: an empty table or column that a transaction left behind which BigQuery refused, or whose
worker died before the commit; and an outcome that this explains (see `expected`).

A duplicated transaction is not checked for partial or out of order effects. A transaction counts
once in each count.
"""

from collections.abc import Callable, Iterable, Mapping

from ops.trial import compare_ledger, compare_tables
from ops.trial.audit_report import AuditReport
from ops.trial.comparison import Comparison, Evidence, LedgerRow
from ops.trial.journal import History, SentKey

type Ledger = Mapping[SentKey, list[LedgerRow]]


def compare_ids(ids: Iterable[str], evidence: Evidence) -> AuditReport:
    """Compare a list of accepted ids with the ledger and the dead letters."""
    report = AuditReport(examined=("ledger",))
    by_id: dict[str, dict[SentKey, list[LedgerRow]]] = {}
    for key, rows in evidence.ledger.items():
        by_id.setdefault(key[0], {})[key] = rows
    for id_ in dict.fromkeys(ids):
        report.accepted += 1
        if id_ not in by_id:
            compare_ledger.missing(report, id_, evidence)
            continue
        rows = [row for each in by_id[id_].values() for row in each]
        applied = compare_ledger.count(report, rows)
        if applied > 1:
            report.find("duplicated", id_, f"{applied} applied rows in the ledger")
    _compare_letters(report, evidence, evidence.ledger, lambda key: key[0])
    return report


def compare(history: History, evidence: Evidence) -> AuditReport:
    """Compare a journal with the ledger, the tables and the dead letters."""
    case = Comparison(history, evidence)
    compare_ledger.run(case)
    compare_tables.run(case)
    _compare_letters(case.report, evidence, case.ledger, case.describe)
    return case.report


def _compare_letters(
    report: AuditReport, evidence: Evidence, ledger: Ledger, describe: Callable[[SentKey], str]
) -> None:
    if evidence.letters is None:
        return
    report.examined += ("dead letters",)
    for key, rows in ledger.items():
        reasons = evidence.letters.get(key, set())
        found = ", ".join(sorted(reasons))
        if any(row.state == "applied" for row in rows):
            if reasons:
                report.find("duplicated", describe(key), f"applied, and a dead letter too: {found}")
        elif not reasons & {row.reason for row in rows}:
            there = f"only as {found}" if reasons else "at all"
            text = f"rejected ({rows[0].reason}), and not on the dead-letter subscription {there}"
            report.find("lost", describe(key), text)
