"""`gatekeeper contract docs`: reads the contracts and writes the page."""

import json
from collections.abc import Sequence
from pathlib import Path

from ops.commands.contract.contract_page import as_json, as_page
from ops.commands.contract.contract_paths import read_paths
from ops.commands.failure import CommandFailed
from ops.runtime.terminal import DataOutput, write_line
from schema.contracts import by_table


def write_documentation(
    paths: Sequence[Path], output: Path | None, *, as_json_object: bool
) -> None:
    """Write the page, or the JSON object, to a file or to standard output."""
    contracts = [each for _, each in sorted(by_table(read_paths(paths)).items())]
    if as_json_object:
        text = json.dumps(as_json(contracts), ensure_ascii=False, indent=2) + "\n"
    else:
        text = as_page(contracts)
    if output is None:
        DataOutput().write(text)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise CommandFailed(f"{output}: {error.strerror}") from None
    write_line(f"{output}: {len(contracts)} tables")
