"""The contract files of CONTRACTS_DIR, compiled once a machine to a form that is quick to load.

Reading YAML takes milliseconds a file and a library of 30 MB, so a separate process does it, with
this package and without the rest of what a server or worker imports.
"""

from ops.runtime.contract_files.compiled_files import (
    Compiled,
    CompiledFiles,
    CompilerFailed,
    key_of,
)
from ops.runtime.contract_files.folder import FileVersion, list_folder, read_folder

__all__ = [
    "Compiled",
    "CompiledFiles",
    "CompilerFailed",
    "FileVersion",
    "key_of",
    "list_folder",
    "read_folder",
]
