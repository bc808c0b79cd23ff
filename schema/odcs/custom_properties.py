"""The custom properties that Gatekeeper adds to the standard: `gatekeeper.mode` and others."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from open_data_contract_standard.model import CustomProperty

from schema.contracts import close_to
from schema.odcs.document import ContractFile, FieldPath

PREFIX: Final = "gatekeeper."
TABLE_PROPERTIES: Final = (
    "mode",
    "duplicate",
    "clustering",
    "partitionGranularity",
    "partitionExpirationDays",
    "labels",
    "notify",
)
"""Of a contract, as the default of its tables, or of a table."""
COLUMN_PROPERTIES: Final = ("transform",)

# https://cloud.google.com/bigquery/docs/labels-intro#requirements
MAX_LABELS: Final = 64
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


class CustomProperties:
    """The values of `gatekeeper.…` in a list of custom properties, over those of an outer list.

    `found` has each value and its path, by the name without the prefix.
    """

    def __init__(
        self,
        file: ContractFile,
        given: Sequence[CustomProperty] | None,
        path: FieldPath,
        known: Sequence[str],
        outer: Mapping[str, tuple[Any, FieldPath]] = MappingProxyType({}),
    ) -> None:
        self._file = file
        self.found: dict[str, tuple[Any, FieldPath]] = dict(outer)
        for index, each in enumerate(given or ()):
            own = (*path, "customProperties", index)
            name = (each.property or "").removeprefix(PREFIX)
            if not each.property or not each.property.startswith(PREFIX):
                continue
            if name in known:
                self.found[name] = each.value, (*own, "value")
            else:
                file.fault(own, f"there is no {each.property} here{close_to(name, known)}")

    def fault(self, name: str, message: str) -> None:
        self._file.fault(self.found[name][1], f"{PREFIX}{name}: {message}")

    def choice[T: StrEnum](self, name: str, kind: type[T]) -> T | None:
        """Return the member of an enumeration, None where nothing valid is given."""
        value, _ = self.found.get(name, (None, ()))
        if value is None:
            return None
        if value in list(kind):
            return kind(value)
        self.fault(name, f"one of {', '.join(kind)} is expected, not {value!r}")
        return None

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of names; a single name may stand without a list."""
        value, _ = self.found.get(name, (None, ()))
        given = [value] if isinstance(value, str) else value or []
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            return tuple(given)
        self.fault(name, "a list of names is expected")
        return ()

    def text(self, name: str) -> str:
        value, _ = self.found.get(name, ("", ()))
        if isinstance(value, str):
            return value
        self.fault(name, "a text is expected")
        return ""

    def days(self, name: str) -> float | None:
        value, _ = self.found.get(name, (None, ()))
        if type(value) in {int, float} and value > 0:
            return float(value)
        if value is not None:
            self.fault(name, "a number of days above 0 is expected")
        return None

    def labels(self, name: str) -> Mapping[str, str]:
        """Return labels as BigQuery takes them."""
        value, _ = self.found.get(name, (None, ()))
        given = value if isinstance(value, dict) else {}
        labels = {str(key): str(held) for key, held in given.items()}
        if value is not None and not isinstance(value, dict):
            self.fault(name, "a mapping of label to value is expected")
        elif len(labels) > MAX_LABELS:
            self.fault(name, f"a table has at most {MAX_LABELS} labels")
        for key, held in labels.items():
            if not is_label(key, held):
                self.fault(
                    name,
                    f"{key}: {held} is no label: lower-case letters, digits, _ and -, at most 63",
                )
        return labels


def is_label(key: str, held: str) -> bool:
    return bool(_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(held))
