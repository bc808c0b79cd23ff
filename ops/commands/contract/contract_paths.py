"""Contracts from the files and folders that the command line names."""

from collections.abc import Sequence
from pathlib import Path

from ops.commands.contract.contract_lint import lint
from ops.commands.failure import CommandFailed
from schema.contracts import TableContract


def read_paths(paths: Sequence[Path]) -> list[TableContract]:
    """Return the contracts as one set. Raises CommandFailed with every fault, one a line."""
    try:
        found = lint(paths)
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from None
    if found.faults:
        faults = "\n".join(map(str, found.faults))
        raise CommandFailed(f"these contracts have faults\n{faults}")
    return found.contracts
