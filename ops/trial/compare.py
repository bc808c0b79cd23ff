"""Compares what was accepted with what the fleet shows. Pure.

A transaction is an id and a body's hash; it is *accepted* when it was answered 200, or when the
ledger holds it although its answer was lost. For each, from the ledger's rows, the rows that it
inserted (every row of a journal's load names its transaction) and its dead letters:

lost
  - accepted, no ledger row and no effect, although the wait for it is over and nothing is left in
    the subscription (while something is, it is *unsettled*);
  - the ledger says applied and nothing of it took effect;
  - it was rejected for a reason that neither it nor the order of its stream explains
    (`warehouse_rejected`, `too_large`, `invalid_schema`);
  - rejected, and not on the dead-letter subscription with that reason.
duplicated
  - more than one `applied` row of its id, more than one row of it in the ledger, or both states;
  - a row that it inserted is in its table more than once;
  - applied, and on the dead-letter subscription too.
partial
  - applied, and some but not all of its rows and deletes took effect, or a row has other values;
  - rejected, refused by the gate or not in the ledger, and yet some of its rows are there;
  - a table or a column that only rejected transactions named; a row that nobody sent;
  - applied, although the warehouse refuses a part of it.
out_of_order
  - the ledger settled it before a transaction that its stream sent earlier;
  - a row is there that a later transaction deleted, or is gone that only an earlier one deletes,
    and the two were not settled in the order of sending, or together;
  - applied or rejected as only another order explains: `table_missing`, `column_missing`,
    `type_conflict` and `idempotency_conflict` in place of the model's outcome, or the reverse; a
    column's type is not that of the first transaction which named it.

What has been counted as duplicated is not looked at again for partial or out of order effects: its
rows say no more. A transaction counts once in each count.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.trial.expected import Delete, RowName, replay
from ops.trial.journal import History, Key, Sent
from ops.trial.model import Row
from ops.trial.stream import FOREIGN
from ops.trial.trial_verdict import Verdict

_BY_ORDER = {"table_missing", "column_missing", "type_conflict", "idempotency_conflict"}


class LedgerRow(NamedTuple):
    """One row of the ledger; `settled_at` is a sortable time."""

    state: str
    reason: str | None
    settled_at: str


@dataclass
class Evidence:
    """What the fleet shows. Tables are by name; a table that is not there is not in `types`."""

    ledger: Mapping[Key, list[LedgerRow]]
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Each table's columns, by lower-case name, with BigQuery's types."""
    rows: Mapping[RowName, list[Row]] = field(default_factory=dict)
    letters: Mapping[Key, set[str]] | None = None
    """Reasons on the dead-letter subscription; None where that was not read."""
    backlog: int = 0


def compare_ids(ids: Iterable[str], evidence: Evidence) -> Verdict:
    """Compare a plain list of accepted ids with the ledger and the dead letters."""
    verdict = Verdict(examined=("ledger",))
    by_id: dict[str, dict[Key, list[LedgerRow]]] = {}
    for key, rows in evidence.ledger.items():
        by_id.setdefault(key[0], {})[key] = rows
    for id_ in dict.fromkeys(ids):
        verdict.accepted += 1
        if id_ not in by_id:
            _missing(verdict, id_, evidence)
            continue
        rows = [row for each in by_id[id_].values() for row in each]
        applied = [row for row in rows if row.state == "applied"]
        if applied:
            verdict.applied += 1
        else:
            verdict.rejected[rows[0].reason or "unknown"] += 1
        if len(applied) > 1:
            verdict.find("duplicated", id_, f"{len(applied)} applied rows in the ledger")
    if evidence.letters is not None:
        verdict.examined += ("dead letters",)
        known = {key: rows for each in by_id.values() for key, rows in each.items()}
        _letters(verdict, known, evidence.letters, lambda key: key[0])
    return verdict


def _missing(verdict: Verdict, who: str, evidence: Evidence) -> None:
    if evidence.backlog:
        verdict.unsettled += 1
    else:
        verdict.find("lost", who, "accepted, and not in the ledger")


def compare(history: History, evidence: Evidence) -> Verdict:
    """Compare a journal with the ledger, the tables and the dead letters."""
    return _Comparison(history, evidence).verdict()


class _Comparison:
    def __init__(self, history: History, evidence: Evidence) -> None:
        self._history = history
        self._evidence = evidence
        self._accepted = _accepted(history, evidence)
        self._outcomes = {
            key: rows[0].reason for key, rows in evidence.ledger.items() if key in self._accepted
        }
        self._expected = replay(history, self._outcomes)
        self._verdict = Verdict(examined=("ledger", "tables"))
        self._rows: dict[Key, list[RowName]] = {}
        for name, key in self._expected.inserted.items():
            self._rows.setdefault(key, []).append(name)
        self._duplicated: set[Key] = set()
        self._wrong: set[Key] = set()
        """Settled otherwise than the model does: their rows say no more."""

    def verdict(self) -> Verdict:
        self._verdict.accepted = len(self._accepted)
        for key in self._accepted:
            self._look_at_ledger(key)
        self._look_at_ids()
        for key in self._accepted:
            self._look_at_outcome(key)
        for stream in self._history.streams.values():
            self._look_at_order(stream)
        self._look_at_unsettled()
        self._look_at_rows()
        self._look_at_tables()
        if self._evidence.letters is not None:
            self._verdict.examined += ("dead letters",)
            ledger = {
                key: rows for key, rows in self._evidence.ledger.items() if key in self._accepted
            }
            _letters(self._verdict, ledger, self._evidence.letters, self._who)
        return self._verdict

    def _who(self, key: Key) -> str:
        sent = self._accepted.get(key)
        return f"{key[0]} ({sent.stream} {sent.number}, {sent.kind})" if sent else key[0]

    def _find(self, defect: str, key: Key, text: str) -> None:
        self._verdict.find(defect, self._who(key), text)

    # The ledger.

    def _look_at_ledger(self, key: Key) -> None:
        rows = self._evidence.ledger.get(key)
        if not rows:
            return
        if any(row.state == "applied" for row in rows):
            self._verdict.applied += 1
        else:
            self._verdict.rejected[rows[0].reason or "unknown"] += 1
        if len(rows) > 1:
            self._duplicated.add(key)
            states = ", ".join(row.reason or row.state for row in rows)
            self._find("duplicated", key, f"{len(rows)} rows in the ledger: {states}")

    def _look_at_ids(self) -> None:
        applied: dict[str, list[Key]] = {}
        for key in self._accepted:
            rows = self._evidence.ledger.get(key, ())
            if any(row.state == "applied" for row in rows):
                applied.setdefault(key[0], []).append(key)
        for keys in applied.values():
            if len(keys) > 1:
                self._duplicated |= set(keys)
                self._find("duplicated", keys[0], f"{len(keys)} bodies applied under one id")

    def _look_at_outcome(self, key: Key) -> None:
        if key not in self._outcomes or key in self._duplicated:
            return
        came, due = self._outcomes[key], self._expected.decided[key]
        if came == due:
            return
        self._wrong.add(key)
        text = f"{came or 'applied'} in place of {due or 'applied'}"
        if came in _BY_ORDER or due in _BY_ORDER:
            self._find("out_of_order", key, text)
        elif came is None:
            self._find("partial", key, text)
        else:
            self._find("lost", key, text)

    def _look_at_order(self, stream: list[Sent]) -> None:
        latest, before = "", None
        seen: set[Key] = set()
        for sent in stream:
            rows = self._evidence.ledger.get(sent.key)
            if not rows or sent.key in seen or sent.key in self._duplicated:
                continue
            seen.add(sent.key)
            settled = rows[0].settled_at
            if settled < latest and before is not None:
                self._find("out_of_order", sent.key, f"settled before {self._who(before)}")
            elif settled >= latest:
                latest, before = settled, sent.key

    def _look_at_unsettled(self) -> None:
        for key in self._accepted:
            if key in self._outcomes:
                continue
            there = [name for name in self._rows.get(key, ()) if name in self._evidence.rows]
            if there:
                self._find("partial", key, f"{_named(there)} is there, its ledger row is not")
            else:
                _missing(self._verdict, self._who(key), self._evidence)

    # The rows.

    def _look_at_rows(self) -> None:
        for name in self._evidence.rows:
            if name not in self._expected.inserted:
                self._verdict.find("partial", f"row {'/'.join(name)}", "nobody sent this row")
        for key, names in self._rows.items():
            if key in self._duplicated or key in self._wrong:
                continue
            if key not in self._accepted:
                self._refused(key, names)
            elif key in self._outcomes:
                self._effects(key, names)

    def _refused(self, key: Key, names: list[RowName]) -> None:
        there = [name for name in names if name in self._evidence.rows]
        if there:
            self._find("partial", key, f"not accepted, and {_named(there)} is there")

    def _effects(self, key: Key, names: list[RowName]) -> None:
        found = self._evidence.rows
        often = [name for name in names if len(found.get(name, ())) > 1]
        if often:
            self._find("duplicated", key, f"{_named(often)} is there {len(found[often[0]])} times")
            self._duplicated.add(key)
            return
        due = [name for name in names if name in self._expected.present]
        if self._outcomes[key] is not None:
            there = [name for name in names if name in found]
            if there:
                self._find("partial", key, f"rejected, and {_named(there)} is there")
            return
        absent = [name for name in due if name not in found]
        changed = [name for name in due if name in found and found[name][0] != self._whole(name)]
        if changed:
            self._find("partial", key, f"{_named(changed)} has other values")
        for name in names:
            if name in found and name not in self._expected.present:
                self._left_over(key, name)
        self._absent(key, due, absent)

    def _whole(self, name: RowName) -> Row:
        columns = self._expected.columns[name[0]]
        row = self._expected.present[name]
        return {column: row.get(column) for column in columns}

    def _absent(self, key: Key, due: list[RowName], absent: list[RowName]) -> None:
        missing = []
        for name in absent:
            earlier = self._deleted_too_late(key, name)
            if earlier is None:
                missing.append(name)
            else:
                text = f"{_named([name])} was deleted by the earlier {self._who(earlier)}"
                self._find("out_of_order", key, text)
        if missing:
            some = len(missing) < len(due)
            self._find(
                "partial" if some else "lost", key, f"applied, but {_named(missing)} is gone"
            )

    def _deleted_too_late(self, key: Key, name: RowName) -> Key | None:
        """Return who deletes the row, was sent before it, and was not settled before it."""
        row = self._expected.present[name]
        for delete in self._expected.deletes.get(name[1], ()):
            if delete.at >= self._expected.place[key]:
                break
            if self._settled(delete.key) >= self._settled(key) and _matches(delete, name[0], row):
                return delete.key
        return None

    def _left_over(self, key: Key, name: RowName) -> None:
        deleter = self._expected.deleted_by.get(name)
        if deleter is None:  # a transaction's own delete, which comes after its insert
            self._find("partial", key, f"{_named([name])} is there, which it deletes itself")
        elif deleter in self._duplicated:
            return
        elif self._settled(deleter) <= self._settled(key):
            text = f"{_named([name])} is there, which a later transaction deletes"
            self._find("out_of_order", deleter, text)
        else:
            others = any(each in self._evidence.rows for each in self._rows.get(deleter, ()))
            text = f"applied, but {_named([name])} is still there"
            self._find("partial" if others else "lost", deleter, text)

    def _settled(self, key: Key) -> str:
        return self._evidence.ledger[key][0].settled_at

    # The tables.

    def _look_at_tables(self) -> None:
        expected, types = self._expected, self._evidence.types
        for table in sorted(expected.named & types.keys() - expected.columns.keys()):
            if table not in expected.foreign:
                self._verdict.find(
                    "partial", f"table {table}", "only rejected transactions name it"
                )
        for table, columns in expected.columns.items():
            if table not in types:
                self._verdict.find("lost", f"table {table}", "the table is not there")
                continue
            extra = types[table].keys() - columns.keys()
            for column in sorted(each for each in extra if not each.startswith(FOREIGN)):
                who = f"column {table}.{column}"
                self._verdict.find("partial", who, "only rejected transactions name it")
            for column, declared in columns.items():
                found = types[table].get(column)
                if found is None:
                    who = f"column {table}.{column}"
                    self._verdict.find("lost", who, "the column is not there")
                elif found != declared.bigquery:
                    text = f"{found}, and was declared {declared.bigquery} first"
                    self._verdict.find("out_of_order", f"column {table}.{column}", text)


def _accepted(history: History, evidence: Evidence) -> dict[Key, Sent]:
    found = history.accepted()
    for sent in history.all():
        if sent.status is None and sent.key in evidence.ledger:
            found.setdefault(sent.key, sent)
    return found


def _matches(delete: Delete, table: str, row: Row) -> bool:
    return delete.table == table and all(
        row.get(name.lower()) == value for name, value in delete.values.items()
    )


def _named(names: list[RowName]) -> str:
    table, stream, number = names[0]
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{table}'s row {stream}/{number}{more}"


def _letters(
    verdict: Verdict,
    ledger: Mapping[Key, list[LedgerRow]],
    letters: Mapping[Key, set[str]],
    who: Callable[[Key], str],
) -> None:
    for key, rows in ledger.items():
        reasons = letters.get(key, set())
        applied = any(row.state == "applied" for row in rows)
        due = {row.reason for row in rows if row.reason}
        if applied and reasons:
            text = f"applied, and a dead letter too: {', '.join(sorted(reasons))}"
            verdict.find("duplicated", who(key), text)
        elif not applied and not due & reasons:
            there = f"only as {', '.join(sorted(reasons))}" if reasons else "at all"
            text = f"rejected ({rows[0].reason}), and not on the dead-letter subscription {there}"
            verdict.find("lost", who(key), text)
