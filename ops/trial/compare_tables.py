"""Compares the tables' rows and columns with what the transactions must have left. Pure."""

from ops.trial.client_stream import FOREIGN
from ops.trial.comparison import Comparison, named
from ops.trial.expected import Delete, RowName
from ops.trial.journal import SentKey
from ops.trial.model import ModelRow


def run(case: Comparison) -> None:
    """Check the rows of every transaction, then the tables and their columns."""
    for name in sorted(case.evidence.rows.keys() - case.expected.inserted.keys()):
        case.report.find("partial", f"row {'/'.join(name)}", "nobody sent this row")
    for key, names in case.inserted.items():
        if key in case.duplicated or key in case.wrong:
            continue
        if key not in case.accepted:
            _check_absent(case, key, names, "not accepted")
        elif key in case.outcomes:
            _check_effects(case, key, names)
    _check_tables(case)


def _check_absent(case: Comparison, key: SentKey, names: list[RowName], why: str) -> None:
    if there := case.existing(names):
        case.find("partial", key, f"{why}, and {named(there)} is there")


def _check_effects(case: Comparison, key: SentKey, names: list[RowName]) -> None:
    found, present = case.evidence.rows, case.expected.present
    repeated = [name for name in names if len(found.get(name, ())) > 1]
    if repeated:
        text = f"{named(repeated)} is there {len(found[repeated[0]])} times"
        case.find("duplicated", key, text)
        case.duplicated.add(key)
    elif case.outcomes[key] is not None:
        _check_absent(case, key, names, "rejected")
    else:
        due = [name for name in names if name in present]
        changed = [each for each in case.existing(due) if not _is_whole(case, each)]
        for name in changed:
            _find_changed(case, key, name)
        for name in case.existing(names):
            if name not in present:
                _left_over(case, key, name)
        _check_missing(case, key, due)


def _is_whole(case: Comparison, name: RowName) -> bool:
    return _is_row(case, name, case.expected.present[name])


def _is_row(case: Comparison, name: RowName, due: ModelRow) -> bool:
    """Return whether a row has these values, and NULL in the columns that they do not name."""
    found = case.evidence.rows[name][0]
    return all(due.get(column) == value for column, value in found.items())


def _find_changed(case: Comparison, key: SentKey, name: RowName) -> None:
    """Report a row with other values: those before an update that was applied, or any."""
    for version in case.expected.versions.get(name, ()):
        if _is_row(case, name, version.row):
            text = f"applied, but {named([name])} has its earlier values"
            case.find("lost", version.changed_by, text)
            return
    case.find("partial", key, f"{named([name])} has other values")


def _check_missing(case: Comparison, key: SentKey, due: list[RowName]) -> None:
    missing = []
    for name in due:
        if name in case.evidence.rows:
            continue
        earlier = _deleted_too_late(case, key, name)
        if earlier is None:
            missing.append(name)
        else:
            text = f"{named([name])} was deleted by the earlier {case.describe(earlier)}"
            case.find("out_of_order", key, text)
    if missing:
        defect = "partial" if len(missing) < len(due) else "lost"
        case.find(defect, key, f"applied, but {named(missing)} is gone")


def _deleted_too_late(case: Comparison, key: SentKey, name: RowName) -> SentKey | None:
    """Return the transaction that deletes the row, was sent earlier and not settled earlier."""
    row = case.expected.present[name]
    for delete in case.expected.deletes.get(name[1], ()):
        if delete.at >= case.expected.place[key]:
            break
        late = _settled(case, delete.key) >= _settled(case, key)
        if late and _matches(delete, name[0], row):
            return delete.key
    return None


def _left_over(case: Comparison, key: SentKey, name: RowName) -> None:
    deleter = case.expected.deleted_by.get(name)
    if deleter is None:  # a transaction's own delete, which comes after its insert
        case.find("partial", key, f"{named([name])} is there, which it deletes itself")
    elif deleter in case.duplicated:
        return
    elif _settled(case, deleter) <= _settled(case, key):
        text = f"{named([name])} is there, which a later transaction deletes"
        case.find("out_of_order", deleter, text)
    else:
        others = case.existing(case.inserted.get(deleter, []))
        text = f"applied, but {named([name])} is still there"
        case.find("partial" if others else "lost", deleter, text)


def _settled(case: Comparison, key: SentKey) -> str:
    return case.evidence.ledger[key][0].settled_at


def _matches(delete: Delete, table: str, row: ModelRow) -> bool:
    return delete.table == table and all(
        row.get(name.lower()) == value for name, value in delete.values.items()
    )


def _check_tables(case: Comparison) -> None:
    expected, types = case.expected, case.evidence.types
    unexpected = expected.named & types.keys() - expected.asked.keys() - expected.foreign
    for table in sorted(unexpected):
        case.report.find("partial", f"table {table}", "only rejected transactions name it")
    for table in sorted(expected.columns.keys() - types.keys()):
        case.report.find("lost", f"table {table}", "the table is not there")
    for table in sorted(expected.asked.keys() & types.keys()):
        _check_columns(case, table)


def _check_columns(case: Comparison, table: str) -> None:
    columns, types = case.expected.columns.get(table, {}), case.evidence.types[table]
    for column in sorted(types.keys() - case.expected.asked[table].keys()):
        if not column.startswith(FOREIGN):
            who = f"column {table}.{column}"
            case.report.find("partial", who, "only rejected transactions name it")
    for column, declared in columns.items():
        who, found = f"column {table}.{column}", types.get(column)
        if found is None:
            case.report.find("lost", who, "the column is not there")
        elif found != declared.bigquery:
            text = f"{found}, and was declared {declared.bigquery} first"
            case.report.find("out_of_order", who, text)
