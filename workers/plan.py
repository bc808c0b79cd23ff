"""The plan of a batch: which transactions go through, which are rejected, and what DDL they need.

Transactions are checked in order against the catalog and what the accepted ones before them add to
it. One that is refused adds nothing. Pure: the catalog is a mapping.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from schema import Activity, ColumnType, Reason, Rejection, Transaction
from schema.contracts import Duplicate, TableContract
from workers.contract_columns import (
    NO_CONTRACTS,
    BreaksContract,
    Contracts,
    added_column,
    as_upsert,
    check_not_null,
    is_frozen,
    reason_for,
    stored_columns,
    with_key,
)
from workers.decode import DecodedMessage
from workers.key_states import NO_KEYS, ExistingKeys, KeyStates
from workers.table_columns import CatalogSnapshot, Column, Columns

MAX_TABLES = 97
"""Tables that one transaction may change, next to the lane's head, ledger and rejected ones.
BigQuery: 100 a transaction, https://cloud.google.com/bigquery/docs/transactions#limitations."""


@dataclass(slots=True)
class Plan:
    """What to do with a batch. `creates` and `adds` hold the columns in the order to make them.

    In `accepted` every upsert has its key, and so has an insert if no row may have it.

    A table in `creates` that has a contract in `contracts` is made by it; its columns there are
    those that the contract does not have.
    """

    contracts: Contracts = NO_CONTRACTS

    accepted: list[DecodedMessage] = field(default_factory=list)
    rejected: list[tuple[DecodedMessage, Rejection]] = field(default_factory=list)
    creates: dict[str, list[tuple[str, ColumnType]]] = field(default_factory=dict)
    adds: dict[str, list[tuple[str, ColumnType]]] = field(default_factory=dict)

    @property
    def settled(self) -> list[tuple[DecodedMessage, Rejection | None]]:
        """Every message and its rejection: the accepted ones in order, then the rejected ones."""
        return [*((message, None) for message in self.accepted), *self.rejected]

    @property
    def changes_the_catalog(self) -> bool:
        """Whether tables or columns have to be made first."""
        return bool(self.creates or self.adds)


_AN = {"delete": "a delete", "update": "an update"}


class _Refused(Exception):
    """The transaction being checked is rejected."""

    def __init__(self, reason: Reason, error: str) -> None:
        super().__init__(error)
        self.rejection = Rejection(reason, error)


class _Overlay:
    """The catalog as the transactions accepted so far, and the one being checked, leave it."""

    def __init__(
        self, catalog: CatalogSnapshot, contracts: Contracts, existing: ExistingKeys
    ) -> None:
        self._catalog = catalog
        self.contracts = contracts
        self._existing = existing
        self._keys: dict[str, KeyStates] = {}
        self._required: dict[str, tuple[tuple[str, Column], ...]] = {}
        self.created: list[str] = []
        """Tables of contracts, made for the transaction being checked."""
        self._accepted: dict[str, dict[str, Column]] = {}
        self._tentative: dict[str, dict[str, Column]] = {}
        self.added: list[tuple[str, str, ColumnType]] = []
        self.fitting: dict[tuple[str, tuple[str, ...]], tuple[ColumnType, ...]] = {}
        """Types that a table's columns are known to take; in a batch columns only come."""

    def columns(self, table: str) -> Columns | None:
        return self._tentative.get(table) or self._accepted.get(table) or self._catalog[table]

    def required(self, table: str) -> tuple[tuple[str, Column], ...]:
        """Return a table's columns that are NOT NULL. A batch adds none."""
        if table not in self._required:
            columns = (self.columns(table) or {}).items()
            self._required[table] = tuple(each for each in columns if each[1].required)
        return self._required[table]

    def keys(self, contract: TableContract) -> KeyStates:
        """Return the states of the keys in a contract's table."""
        states = self._keys.get(contract.table)
        if states is None:
            existing = self._existing.get(contract.table, ())
            states = self._keys[contract.table] = KeyStates(contract, existing)
        return states

    def create(self, contract: TableContract) -> None:
        """Make a table by its contract."""
        self._tentative[contract.table] = stored_columns(contract)
        self.created.append(contract.table)

    def add(self, table: str, name: str, declared: ColumnType) -> None:
        own = self._tentative.get(table)
        if own is None:
            own = self._tentative[table] = dict(self.columns(table) or {})
        own[name.casefold()] = Column(name, declared.base, declared.precision, declared.scale)
        self.added.append((table, name, declared))

    def keep(self) -> None:
        self._accepted |= self._tentative
        for states in self._keys.values():
            states.keep()
        self.forget()

    def forget(self) -> None:
        for states in self._keys.values():
            states.forget()
        self._tentative = {}
        self.added = []
        self.created = []


def _check(activity: Activity, overlay: _Overlay) -> Activity:
    """Return the activity as it is applied, with the key that it needs."""
    if activity.has_open_key:
        activity = with_key(activity, overlay.contracts)
    contract = overlay.contracts.get(activity.table)
    duplicate = contract.duplicate if contract else Duplicate.ALLOW
    if contract and duplicate is Duplicate.UPSERT and activity.operation == "insert":
        activity = as_upsert(activity, contract)
    if overlay.columns(activity.table) is None:
        if activity.operation in _AN:
            raise _Refused(
                Reason.TABLE_MISSING,
                f"there is no table {activity.table} for {_AN[activity.operation]}",
            )
        if contract is not None:
            overlay.create(contract)
    if contract is not None and is_frozen(contract) and activity.operation != "delete":
        check_not_null(contract, overlay.required(activity.table), activity)
    if activity.operation == "update" and activity.match:
        _check_columns(activity, activity.match.names, activity.match.types, overlay, adds=False)
    adds = activity.operation != "delete"
    _check_columns(activity, activity.names, activity.types, overlay, adds=adds)
    if contract and duplicate is Duplicate.REJECT:
        return overlay.keys(contract).checked(activity)
    return activity


def _check_columns(
    activity: Activity,
    names: tuple[str, ...],
    types: tuple[ColumnType, ...],
    overlay: _Overlay,
    *,
    adds: bool,
) -> None:
    """Compare columns with the table's; those that it lacks are refused, or added if `adds`."""
    table = activity.table
    if overlay.fitting.get((table, names)) == types:
        return
    columns, contract = overlay.columns(table), overlay.contracts.get(table)
    for name, declared in zip(names, types, strict=True):
        column = columns.get(name.casefold()) if columns else None
        if column is None and not adds:
            raise _Refused(
                reason_for(Reason.COLUMN_MISSING, contract, name, declared),
                f"{table} has no column {name} for {_AN[activity.operation]}",
            )
        if column is None:
            overlay.add(table, *added_column(contract, table, name, declared))
        elif not column.takes(declared):
            own = f"({column.precision},{column.scale or 0})" if column.precision else ""
            raise _Refused(
                reason_for(Reason.TYPE_CONFLICT, contract, name, declared),
                f"{table}.{column.name} is {column.base}{own}, not {declared.bigquery}",
            )
    if not (overlay.added or overlay.created):  # what only this transaction brings may go with it
        overlay.fitting[table, names] = types


def _check_whole(transaction: Transaction, overlay: _Overlay) -> Transaction:
    if len(transaction.activities) > MAX_TABLES and len(transaction.tables) > MAX_TABLES:
        raise _Refused(
            Reason.TOO_LARGE,
            f"{len(transaction.tables)} tables: a transaction may touch {MAX_TABLES}",
        )
    try:
        return Transaction(tuple([_check(each, overlay) for each in transaction.activities]))
    except BreaksContract as broken:
        raise _Refused(Reason.CONTRACT, str(broken)) from None


def plan(
    messages: Iterable[DecodedMessage],
    catalog: CatalogSnapshot,
    contracts: Contracts = NO_CONTRACTS,
    existing: ExistingKeys = NO_KEYS,
) -> Plan:
    """Decide on a batch's messages, in order; `catalog` has every table that they name."""
    result, overlay = Plan(contracts=contracts), _Overlay(catalog, contracts, existing)
    for message in messages:
        if message.rejection is not None:
            result.rejected.append((message, message.rejection))
            continue
        assert message.transaction is not None  # noqa: S101  # a message has one or the other
        try:
            applied = _check_whole(message.transaction, overlay)
        except _Refused as refused:
            overlay.forget()
            result.rejected.append((message, refused.rejection))
            continue
        for table in overlay.created:
            result.creates.setdefault(table, [])
        for table, name, declared in overlay.added:
            made = result.creates if catalog[table] is None else result.adds
            made.setdefault(table, []).append((name, declared))
        overlay.keep()
        is_same = applied == message.transaction
        result.accepted.append(message if is_same else replace(message, transaction=applied))
    return result
