"""`gatekeeper contract infer`: reads a table or sample transactions, prints a contract."""

from collections.abc import Sequence
from pathlib import Path

from ops.commands.command_app import command_settings
from ops.commands.contract.inferred_contract import InferredTable, as_json, as_yaml
from ops.commands.contract.live_inference import infer_from_table
from ops.commands.contract.live_table import open_warehouse, read_live_table
from ops.commands.contract.sample_inference import infer_from_samples
from ops.commands.contract.table_samples import TableSamples, add_transaction
from ops.commands.failure import CommandFailed
from ops.runtime.terminal import DataOutput, write_error, write_json
from schema import TABLE_NAME, InvalidJSON, InvalidSchema, check, loads

MAX_REPORTED = 5


def print_inferred(source: str, *, as_json_object: bool) -> None:
    """Print a contract of a table, or of all tables in a file. Raises CommandFailed."""
    if TABLE_NAME.fullmatch(source):
        name, tables = source, [_from_table(source)]
    else:
        path = Path(source)
        name, tables = path.name.split(".")[0] or path.name, _from_file(path)
    if as_json_object:
        write_json(as_json(name, tables))
    else:
        DataOutput().write(as_yaml(name, tables))


def _from_table(table: str) -> InferredTable:
    settings = command_settings()
    path = f"{settings.dataset_path}.{table}"
    with open_warehouse(settings) as client:
        live = read_live_table(client, path)
    if live is None:
        raise CommandFailed(f"there is no table {path}; for a file of that name: ./{table}")
    inferred = infer_from_table(table, live)
    if not inferred.contract.columns:
        raise CommandFailed(f"{path} has no column that a transaction could write")
    return inferred


def _from_file(path: Path) -> list[InferredTable]:
    tables: dict[str, TableSamples] = {}
    faults: list[str] = []
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and (fault := _add(tables, line)):
                    faults.append(f"{path}:{number}: {fault}")
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    _report(faults)
    if not tables:
        raise CommandFailed(f"{path} has no valid transaction")
    return [infer_from_samples(name, samples) for name, samples in tables.items()]


def _add(tables: dict[str, TableSamples], line: bytes) -> str:
    """Add a line's transaction, or return its first fault."""
    try:
        payload = loads(line)
        add_transaction(tables, payload, check(payload))
    except InvalidJSON as fault:
        return str(fault)
    except InvalidSchema as invalid:
        first = invalid.faults[0]
        return f"{first.pointer}: {first.message}"
    return ""


def _report(faults: Sequence[str]) -> None:
    for fault in faults[:MAX_REPORTED]:
        write_error(fault)
    if faults:
        write_error(f"{len(faults):,} invalid lines are left out")
