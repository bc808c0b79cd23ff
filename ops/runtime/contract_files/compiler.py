"""The compiler's process: `python -m` with this module, and its order on standard input.

A separate process: pydantic takes 30 MB, and thousands of files seconds, that no server or worker
should have to spend.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.runtime.contract_files.compiled_files import Compiled, CompiledFiles, key_of
from schema.contracts import ContractFault, InvalidContracts
from schema.odcs import read_contracts


def compile_files(forms: Path, folder: Path, keys: Mapping[str, str]) -> None:
    """Compile the files that still are what their keys say."""
    compiled = CompiledFiles(forms)
    for name, key in keys.items():
        try:
            content = (folder / name).read_bytes()
        except OSError:  # the next look at the folder decides
            continue
        if key_of(name, content) == key:
            compiled.store(key, compile_file(name, content))


def compile_file(name: str, content: bytes) -> Compiled:
    try:
        return read_contracts(name, content.decode()), []
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return [], [ContractFault(name, line, "", "the file is not UTF-8")]
    except InvalidContracts as invalid:
        return [], list(invalid.faults)


if __name__ == "__main__":
    order = json.load(sys.stdin)
    compile_files(Path(order["forms"]), Path(order["folder"]), order["keys"])
