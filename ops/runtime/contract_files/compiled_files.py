"""Compiled contract files in STATE_DIR: JSON, named by the hash of the file and of the compiler.

A form has the contracts of a file or its faults. It is never changed, so processes share it without
a lock; the lock only keeps two of them from compiling the same.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

import schema
from ops.runtime.file_lock import FileLock
from schema.contracts import ContractFault, TableContract
from schema.contracts.stored_form import from_stored, to_stored

KEPT_SECONDS: Final = 7 * 86_400
"""How long a form that no set needs stays: a file may come back with the next roll-back."""

_IN_FORCE = "in_force"
_PACKAGES = ("open-data-contract-standard", "pydantic", "pyre2", "PyYAML")

type Compiled = tuple[list[TableContract], list[ContractFault]]
"""One of the two is empty."""


class CompilerFailed(Exception):
    """The compiler's process ended without its work; the text has its last line."""


@cache
def _compiler_hash() -> bytes:
    """Return a hash of what a form depends on besides its file: the code that makes it."""
    code = [path.read_bytes() for path in sorted(Path(schema.__file__).parent.rglob("*.py"))]
    versions = [version(name).encode() for name in _PACKAGES]
    return hashlib.sha256(b"\0".join([*code, *versions])).digest()


def key_of(name: str, content: bytes) -> str:
    """Return the name of a file's compiled form."""
    return hashlib.sha256(b"\0".join((_compiler_hash(), name.encode(), content))).hexdigest()


class CompiledFiles:
    """The compiled forms in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> Compiled | None:
        """Return a compiled form, None where there is none that can be read."""
        try:
            stored = orjson.loads(self._file(key).read_bytes())
            contracts = [from_stored(each) for each in stored["contracts"]]
            return contracts, [ContractFault(*each) for each in stored["faults"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, key: str, compiled: Compiled) -> None:
        contracts, faults = compiled
        stored = {
            "contracts": [to_stored(each) for each in contracts],
            "faults": [list(each) for each in faults],
        }
        write_whole(self._file(key), orjson.dumps(stored))

    def compile(self, folder: Path, keys: Mapping[str, str]) -> None:
        """Have forms made that another process has not made yet. Raises CompilerFailed.

        `keys` are by the files' names. A file that has changed since is left out.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(FileLock(self._folder / "compiler.lock")) as lock:
            lock.wait_exclusive()
            missing = {name: key for name, key in keys.items() if self.load(key) is None}
            if missing:
                self._remove_old()
                _run_compiler(self._folder, folder, missing)

    def keep(self, folder: Path, keys: Mapping[str, str]) -> None:
        """Remember the files of a folder whose set is in force."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {"folder": str(folder.absolute()), "keys": keys}
        write_whole(self._folder / _IN_FORCE, orjson.dumps(kept))

    def kept(self, folder: Path) -> dict[str, str]:
        """Return the keys of the files whose set was last in force, none for another folder."""
        kept = self._in_force()
        keys: dict[str, str] = kept["keys"] if kept["folder"] == str(folder.absolute()) else {}
        return keys

    def _in_force(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = orjson.loads((self._folder / _IN_FORCE).read_bytes())
        except (OSError, ValueError):
            return {"folder": "", "keys": {}}
        return found

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _remove_old(self) -> None:
        """Remove old forms. A process that still needs one has it made again."""
        oldest = time.time() - KEPT_SECONDS
        kept = set(self._in_force()["keys"].values())
        for file in self._folder.glob("*.json"):
            if file.stem not in kept and file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file in one step, so that nobody reads half of it."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(file)


def _run_compiler(forms: Path, folder: Path, keys: Mapping[str, str]) -> None:
    order: dict[str, Any] = {"forms": str(forms), "folder": str(folder), "keys": dict(keys)}
    ended = subprocess.run(  # our own module
        [sys.executable, "-m", "ops.runtime.contract_files.compiler"],
        input=json.dumps(order).encode(),
        capture_output=True,
        check=False,
    )
    if ended.returncode:
        last_line = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CompilerFailed(f"the compiler of contracts ended: {last_line}")
