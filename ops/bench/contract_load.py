"""What contracts cost a process: the check of a transaction, and a large set in force.

The set is loaded by a process apart, `python -m` with this module, whose settings name its folder:
the memory of this one is not measured with it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ops.bench.pubsub_load import table_names
from ops.fleet.config import ROOT
from ops.rig.environment import LocalServices
from ops.rig.processes import RunFailed, memory_bytes
from ops.rig.transaction_mix import COLUMNS, TYPES
from ops.runtime.contract_files import CompiledFiles, key_of
from ops.runtime.contracts_in_force import ContractsInForce
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_line
from schema import Activity, Transaction
from schema.contracts import ContractColumn, ContractSet, Mode, TableContract

_RULES: Final[tuple[dict[str, Any], ...]] = (
    {"required": True, "minimum": "0"},
    {"max_length": 200},
    {},
    {},
    {},
)
"""Of the columns of the sample transactions."""
_LOAD_SECONDS: Final = 300.0


class SetSize(NamedTuple):
    contracts: int = 2_000
    columns: int = 50


class LoadCost(NamedTuple):
    """`seconds` of processor time, and what the process grows by, in MB, once all are used."""

    seconds: float
    megabytes: float


def sample_contracts(tables: int) -> ContractSet:
    """Return frozen contracts of the sample transactions' tables."""
    columns = [
        ContractColumn(name=name, declared=declared, **rules)
        for name, declared, rules in zip(COLUMNS, TYPES, _RULES, strict=True)
    ]
    return ContractSet(_contract(name, columns) for name in table_names(tables))


def check_all(contracts: ContractSet, transactions: Sequence[Transaction]) -> None:
    """Check transactions as the gate does. Raises RunFailed for one that breaks a contract."""
    for transaction in transactions:
        if found := contracts.violations(transaction):
            raise RunFailed(f"a transaction of the benchmark breaks a contract: {found[0]}")


def measure_load(folder: Path, size: SetSize) -> LoadCost:
    """Load a set that is compiled already in a new process, and use each of its contracts."""
    services = LocalServices(folder)
    _write_set(services.settings, size)
    done = subprocess.run(
        [sys.executable, "-m", "ops.bench.contract_load"],
        cwd=ROOT,
        env={**os.environ, **services.variables},
        capture_output=True,
        timeout=_LOAD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RunFailed(f"the contracts were not loaded: {done.stderr.decode()[-500:]}")
    return LoadCost(**json.loads(done.stdout.splitlines()[-1]))


def _write_set(settings: Settings, size: SetSize) -> None:
    compiled = CompiledFiles(settings.state_dir.absolute() / "contracts")
    for part in (settings.contracts_dir, settings.state_dir.absolute() / "contracts"):
        part.mkdir(parents=True, exist_ok=True)
    for number in range(size.contracts):
        name, content = f"t{number:05}.yaml", f"# {number}\n".encode()
        (settings.contracts_dir / name).write_bytes(content)
        columns = [_column(number, place) for place in range(size.columns)]
        compiled.store(key_of(name, content), ([_contract(f"t{number:05}", columns)], []))


def _column(number: int, place: int) -> ContractColumn:
    """Return a column as people write them: names, descriptions and types come again."""
    kind, rules = TYPES[place % len(TYPES)], _RULES[place % len(TYPES)]
    description = f"Column {place} of the table {number}"
    name = f"{COLUMNS[place % len(COLUMNS)]}_{place}"
    return ContractColumn(name=name, declared=kind, description=description, **rules)


def _contract(table: str, columns: Sequence[ContractColumn]) -> TableContract:
    return TableContract(
        table=table,
        contract=table,
        id=table,
        version="1.0.0",
        status="active",
        team="bench",
        mode=Mode.FREEZE,
        columns=tuple(columns),
    )


def _load() -> LoadCost:
    settings = Settings.load(os.environ)
    before, began = memory_bytes(os.getpid()), time.process_time()
    contracts = ContractsInForce.load(settings).current
    seconds = time.process_time() - began
    for contract in contracts.tables.values():
        names = tuple(column.name for column in contract.columns)
        types = tuple(column.type for column in contract.columns)
        contracts.violations(
            Transaction((Activity("insert", contract.table, names, types, (None,) * len(names)),))
        )
    return LoadCost(seconds, (memory_bytes(os.getpid()) - before) / 1e6)


if __name__ == "__main__":
    write_line(json.dumps(_load()._asdict()))
