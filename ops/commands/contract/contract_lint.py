"""Reads contract files as servers do, and prints what is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ops.runtime.contract_files import list_folder
from ops.runtime.contract_files.compiler import compile_file
from schema.contracts import ContractFault, InvalidContracts, TableContract, by_table


class LintResult(NamedTuple):
    files: int
    contracts: list[TableContract]
    faults: list[ContractFault]

    def as_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "tables": len(self.contracts),
            "faults": [fault._asdict() for fault in self.faults],
        }


def lint(paths: Sequence[Path]) -> LintResult:
    """Read files, and the files below folders, as one set. Raises OSError."""
    contracts: list[TableContract] = []
    faults: list[ContractFault] = []
    files = list(_files(paths))
    for file in files:
        found, wrong = compile_file(str(file), file.read_bytes())
        contracts += found
        faults += wrong
    try:
        by_table(contracts)
    except InvalidContracts as invalid:
        faults += invalid.faults
    return LintResult(len(files), contracts, faults)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        names = list_folder(path)
        if names is None:
            yield path
        else:
            yield from (path / name for name in names)


def github_line(fault: ContractFault) -> str:
    """Return a fault as GitHub shows it next to the line.

    https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
    """
    file = _escaped(fault.file).replace(":", "%3A").replace(",", "%2C")
    message = f"{fault.field}: {fault.message}" if fault.field else fault.message
    return f"::error file={file},line={fault.line},title=contract::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
