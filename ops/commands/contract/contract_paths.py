"""Contracts from files and folders that the command line names."""

from pathlib import Path
from typing import Final

from ops.commands.failure import CommandFailed
from schema.contracts import ContractFault, InvalidContracts, TableContract
from schema.odcs import read_contracts

SUFFIXES: Final = {".yaml", ".yml"}


def read_paths(*paths: Path) -> list[TableContract]:
    """Return all contracts of files and of the YAML files below folders.

    Raises CommandFailed with every fault, one a line.
    """
    faults: list[ContractFault] = []
    contracts: list[TableContract] = []
    for file, text in _texts(paths):
        try:
            contracts += read_contracts(str(file), text)
        except InvalidContracts as invalid:
            faults += invalid.faults
    if faults:
        raise CommandFailed("these contracts have faults\n" + "\n".join(map(str, faults)))
    return contracts


def _texts(paths: tuple[Path, ...]) -> list[tuple[Path, str]]:
    try:
        return [(file, file.read_text()) for path in paths for file in _files(path)]
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(str(error)) from None


def _files(path: Path) -> list[Path]:
    """Return the file itself, or the contract files below a folder, but for hidden ones."""
    if not path.is_dir():
        return [path]
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix in SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
