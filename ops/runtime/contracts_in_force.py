"""The contracts of CONTRACTS_DIR that a process goes by, and the faults of their successors.

A set with a fault is refused whole. The set before it stays in force, also across restarts.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

from ops.runtime import log, metrics
from ops.runtime.contract_files import (
    Compiled,
    CompiledFiles,
    CompilerFailed,
    FileVersion,
    key_of,
    list_folder,
)
from ops.runtime.message_key import read_column_key
from ops.runtime.process import EXIT_SETTINGS
from ops.runtime.settings import Settings
from ops.runtime.terminal import write_error
from schema.contracts import (
    ContractFault,
    ContractSet,
    InvalidContracts,
    UnknownTables,
    missing_key,
)

POLL_SECONDS: Final = 0.8
"""Between two looks at the folder. Compiling a changed file takes a second more."""

MAX_POLL_SECONDS: Final = 1.0
MAX_SHARE: Final = 0.02
"""Of a processor: thousands of files are looked at less often."""

START_LOOKS: Final = 25

SHOWN_FAULTS: Final = 20
"""Faults that are logged of a set."""

logger = log.get(__name__)


class _Changing(Exception):
    """A file changes while it is read: look again."""


class _ReadFile(NamedTuple):
    """A file as last read. While it was not settled, it may have changed unseen."""

    version: FileVersion
    is_settled: bool
    key: str


class ContractsInForce:
    """`current` is replaced by a new set, never changed. `faults` are those of the set refused."""

    def __init__(self, settings: Settings, *, hides: bool = False) -> None:
        self.folder = settings.contracts_dir
        self.current = ContractSet((), UnknownTables(settings.unknown_tables))
        self.faults: tuple[ContractFault, ...] = ()
        self._hides = hides
        self._column_key = read_column_key(settings) if hides else None
        self._compiled = CompiledFiles(settings.state_dir.absolute() / "contracts")
        self._read: dict[str, _ReadFile] = {}
        self._keys: Mapping[str, str] | None = None
        self._loaded: dict[str, Compiled] = {}

    @classmethod
    def load(cls, settings: Settings, *, hides: bool = False) -> Self:
        """Read the contracts, or those last in force here where the folder's have faults.

        With `hides` their transforms can be applied: without COLUMN_KEY_FILE a set that hashes a
        column is refused. Raises InvalidContracts where there are none to go by.
        """
        contracts = cls(settings, hides=hides)
        contracts._read_until_steady()
        if contracts.faults and not contracts._restore():
            raise InvalidContracts(contracts.faults)
        return contracts

    def _read_until_steady(self) -> None:
        """Look until there is an outcome: files may change while they are read."""
        for _ in range(START_LOOKS):
            self.refresh()
            if self._keys is not None or self.faults:
                return
            time.sleep(POLL_SECONDS)
        self._refuse([self._fault("the files keep changing")])

    async def watch(self) -> None:
        """Take up changes of the folder until cancelled. All work is done in a thread."""
        pause = POLL_SECONDS
        while True:
            await asyncio.sleep(pause)
            seconds = await asyncio.to_thread(self._timed_refresh)
            pause = min(max(POLL_SECONDS, seconds / MAX_SHARE), MAX_POLL_SECONDS)

    def _timed_refresh(self) -> float:
        began = time.thread_time()
        try:
            self.refresh()
        except Exception as error:  # the watch must not end unseen: it tries again
            logger.exception("contracts_not_read")
            self._keys = None
            self._refuse([self._fault(f"{type(error).__name__}: {error}")])
        return time.thread_time() - began

    def refresh(self) -> None:
        """Look at the folder; take its contracts up if they have changed and have no faults."""
        try:
            keys = self._read_keys()
            if keys == self._keys:
                return
            self._keys = keys
            self._take_up(keys)
        except _Changing:
            self._keys = None
        except InvalidContracts as invalid:
            self._refuse(invalid.faults)
        except (OSError, CompilerFailed) as error:
            self._keys = None
            self._refuse([self._fault(str(error))])

    def _read_keys(self) -> dict[str, str]:
        """Return the key of each file's compiled form."""
        versions = list_folder(self.folder)
        if versions is None and self.current.tables:
            raise OSError("the folder is gone: an empty one would mean that there are no contracts")
        self._read = {name: self._read_file(name, each) for name, each in (versions or {}).items()}
        return {name: each.key for name, each in self._read.items()}

    def _read_file(self, name: str, version: FileVersion) -> _ReadFile:
        known = self._read.get(name)
        if known is not None and known.is_settled and known.version == version:
            return known
        is_settled = version.is_settled()  # before its content is read
        return _ReadFile(version, is_settled, key_of(name, (self.folder / name).read_bytes()))

    def _take_up(self, keys: Mapping[str, str]) -> None:
        """Put the set of some files in force; leave the old one there in every error."""
        if not self._load(keys):
            missing = {name: key for name, key in keys.items() if key not in self._loaded}
            self._compiled.compile(self.folder, missing)
            if not self._load(keys):
                raise _Changing
        self.current = self._set_of(keys)
        self._loaded = {key: self._loaded[key] for key in keys.values()}
        self._compiled.keep(self.folder, keys)
        logger.info("contracts_in_force", files=len(keys), tables=len(self.current.tables))
        self.faults = ()
        metrics.DEGRADED.labels("contracts").set(0)

    def _load(self, keys: Mapping[str, str]) -> bool:
        """Load what is compiled; return whether that is all."""
        for key in keys.values():
            if key not in self._loaded and (compiled := self._compiled.load(key)):
                self._loaded[key] = compiled
        return all(key in self._loaded for key in keys.values())

    def _set_of(self, keys: Mapping[str, str]) -> ContractSet:
        compiled = [self._loaded[key] for key in keys.values()]
        faults = [fault for _, faults in compiled for fault in faults]
        contracts = [contract for contracts, _ in compiled for contract in contracts]
        if self._hides and self._column_key is None:
            faults += missing_key(contracts)
        if faults:
            raise InvalidContracts(faults)
        return ContractSet(contracts, self.current.unknown_tables, self._column_key)

    def _refuse(self, faults: Sequence[ContractFault]) -> None:
        if tuple(faults) == self.faults:
            return
        self.faults = tuple(faults)
        metrics.DEGRADED.labels("contracts").set(1)
        logger.error("contracts_refused", faults=len(faults), tables=len(self.current.tables))
        for fault in faults[:SHOWN_FAULTS]:
            file, line, field, message = fault
            logger.error("contract_fault", file=file, line=line, field=field, error=message)

    def _fault(self, message: str) -> ContractFault:
        return ContractFault(str(self.folder), 1, "", message)

    def _restore(self) -> bool:
        """Go by the set last in force in this folder; return whether there is one."""
        keys = self._compiled.kept(self.folder)
        if not keys or not self._load(keys):
            return False
        self.current = self._set_of(keys)
        logger.warning("contracts_restored", files=len(keys), tables=len(self.current.tables))
        return True


def contracts_or_exit(settings: Settings) -> ContractsInForce:
    """Load the contracts; print every fault and exit with status 78 if there are none to go by."""
    try:
        return ContractsInForce.load(settings)
    except InvalidContracts as faults:
        write_error(f"gatekeeper: the contracts have faults:\n{faults}", keep="\n")
        raise SystemExit(EXIT_SETTINGS) from None
