"""Hides the values of columns that a contract transforms: in a body, before anything else sees it.

`hash` is HMAC-SHA-256 in hex, keyed, with the column's name (case does not count) as its domain. So
equal values of columns of one name are equal, in all tables: updates, deletes and joins find them.
Columns of other names do not show that they hold the same, and who may write one cannot look up
values of another. `last4` has `*` for each character but the last four; a text of four or fewer is
all `*`. `drop` takes the column out of the lists. NULL stays NULL.

The same body and key always give the same bytes: a repeated request stays a repeat.
"""

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from schema.contracts.table_contract import (
    ContractColumn,
    ContractFault,
    TableContract,
    Transform,
)
from schema.contracts.violation import Violation
from schema.transaction import Activity, Transaction
from schema.types import canonical, parse_type

SHOWN: Final = 4
"""Characters that `last4` leaves."""

_LISTS: Final = ("col_names", "col_types", "col_values")
_HIDING_MATCHES: Final = (Transform.DROP, Transform.LAST4)

type _Hidden = Mapping[str, ContractColumn]
"""The columns of a table that have a transform, by their names without case."""


class ColumnTransforms:
    """The transforms of a set of contracts. `key` may be None where no column is hashed."""

    def __init__(self, contracts: Mapping[str, TableContract], key: bytes | None) -> None:
        self._key = key
        self._contracts = contracts
        self._tables: dict[str, _Hidden] = {}
        for table, contract in contracts.items():
            if hidden := {name: each for name, each in contract.by_name.items() if each.transform}:
                self._tables[table] = hidden

    def concern(self, transaction: Transaction) -> bool:
        """Whether a table of the transaction has a column to hide."""
        tables = self._tables
        return bool(tables) and any(each.table in tables for each in transaction.activities)

    def violations(self, transaction: Transaction) -> list[Violation]:
        """Return where a transaction cannot be transformed. They are refused in every mode.

        A column that is hashed or cut must be sent as a text. One that is dropped or cut cannot be
        matched on: `last4` of two values may be the same, so another row would be changed.
        """
        return [
            violation
            for number, activity in enumerate(transaction.activities)
            if (hidden := self._tables.get(activity.table)) is not None
            for violation in self._of(f"/activities/{number}", activity, hidden)
        ]

    def _of(self, at: str, activity: Activity, hidden: _Hidden) -> Iterator[Violation]:
        is_delete = activity.operation == "delete"
        lists = f"{at}/value_to_delete" if is_delete else at
        dropped = 0
        for place, (name, sent) in enumerate(zip(activity.names, activity.types, strict=True)):
            column = hidden.get(name.casefold())
            if column is None:
                continue
            if is_delete and column.transform in _HIDING_MATCHES:
                yield self._violation(f"{lists}/col_names/{place}", activity, column, _no_match)
            if column.transform is Transform.DROP:
                dropped += 1
            elif sent.base != "STRING":
                yield self._violation(f"{lists}/col_types/{place}", activity, column, _no_text)
        if dropped == len(activity.names) and not is_delete:
            column = hidden[activity.names[0].casefold()]
            yield self._violation(f"{lists}/col_names", activity, column, _nothing_left)
        yield from self._matched(at, activity, hidden)

    def _matched(self, at: str, activity: Activity, hidden: _Hidden) -> Iterator[Violation]:
        if activity.match is None:
            return
        lists = f"{at}/key" if activity.operation == "upsert" else f"{at}/value_to_match/col_names"
        for place, name in enumerate(activity.match.names):
            column = hidden.get(name.casefold())
            if column is None:
                continue
            if column.transform in _HIDING_MATCHES:
                yield self._violation(f"{lists}/{place}", activity, column, _no_match)
            elif activity.match.types[place].base != "STRING" and activity.operation == "update":
                types = f"{at}/value_to_match/col_types/{place}"
                yield self._violation(types, activity, column, _no_text)

    def _violation(
        self, pointer: str, activity: Activity, column: ContractColumn, reason: Any
    ) -> Violation:
        contract = self._contracts[activity.table]
        message = f"{reason(column)} ({contract.title})"
        return Violation(
            pointer,
            "contract_transform",
            message,
            activity.table,
            column.name,
            value=None,
            contract=contract,
            refused=True,
        )

    def apply(self, body: bytes) -> bytes:
        """Return the body with its values hidden; it must be valid and have no `violations`.

        Numbers stay as they were written. Transformed columns are STRING.
        """
        # A Fragment is written as it is: no number goes through a float.
        number = orjson.Fragment
        payload = json.loads(body, parse_float=number, parse_int=number)
        for activity in payload["activities"]:
            if hidden := self._tables.get(activity["table"]):
                for lists in (
                    activity,
                    activity.get("value_to_delete"),
                    activity.get("value_to_match"),
                ):
                    if lists and "col_names" in lists:
                        self._hide(lists, hidden)
        return orjson.dumps(payload)

    def _hide(self, lists: dict[str, Any], hidden: _Hidden) -> None:
        columns: list[tuple[str, str, Any]] = []
        for name, declared, value in zip(*(lists[each] for each in _LISTS), strict=True):
            column = hidden.get(name.casefold())
            if column is None:
                columns.append((name, declared, value))
            elif column.transform is not Transform.DROP:
                columns.append(
                    (name, "STRING", self._hidden(column, canonical(value, parse_type(declared))))
                )
        for place, each in enumerate(_LISTS):
            lists[each] = [column[place] for column in columns]

    def _hidden(self, column: ContractColumn, text: str | None) -> str | None:
        if text is None:
            return None
        if column.transform is Transform.LAST4:
            shown = text[-SHOWN:] if len(text) > SHOWN else ""
            return shown.rjust(len(text), "*")
        assert self._key is not None  # noqa: S101  # missing_key has refused the set
        domain = column.name.casefold().encode() + b"\0"
        return hmac.digest(self._key, domain + text.encode(), "sha256").hex()


def missing_key(contracts: Iterable[TableContract]) -> list[ContractFault]:
    """Return a fault for each column that is hashed, where there is no key."""
    return [
        ContractFault(
            contract.file,
            contract.line,
            f"{contract.table}.{column.name}",
            "gatekeeper.transform: hash needs COLUMN_KEY_FILE, which is not set",
        )
        for contract in contracts
        for column in contract.columns
        if column.transform is Transform.HASH
    ]


def _no_match(column: ContractColumn) -> str:
    return f"`{column.name}` cannot be matched on: gatekeeper.transform is {column.transform}"


def _no_text(column: ContractColumn) -> str:
    return f"`{column.name}` must be sent as TEXT: gatekeeper.transform is {column.transform}"


def _nothing_left(column: ContractColumn) -> str:
    return f"no column is left: gatekeeper.transform drops all, `{column.name}` first"
