"""One property of the standard as a column: its type and the rules on its values."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from open_data_contract_standard.model import DataQuality, SchemaProperty

from schema.contracts import ContractColumn, InvalidPattern, Transform, close_to, pattern_search
from schema.odcs.custom_properties import COLUMN_PROPERTIES, CustomProperties
from schema.odcs.document import ContractFile, FieldPath
from schema.types import ColumnType, UnknownType, length_of, parse_type
from schema.validators import RuleViolation, column_name
from schema.values import WIDE_INTEGERS, BadValue

MAX_DESCRIPTION: Final = 1_024
"""https://cloud.google.com/bigquery/quotas#all_tables: of a column."""

_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_ORDERED: Final = frozenset(
    {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "DATE", "TIME", "DATETIME", "TIMESTAMP"}
)
_COUNTED: Final = frozenset({"STRING", "BYTES"})

LOGICAL_TYPES: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "string": ("STRING", frozenset({"minLength", "maxLength", "pattern", "format"})),
    "date": ("DATE", frozenset({"format", *_BOUNDS})),
    "timestamp": ("TIMESTAMP", frozenset({"format", "timezone", "defaultTimezone", *_BOUNDS})),
    "time": ("TIME", frozenset({"format", "timezone", "defaultTimezone", *_BOUNDS})),
    "integer": ("INT64", frozenset({"multipleOf", "format", *_BOUNDS})),
    "number": ("NUMERIC", frozenset({"multipleOf", "format", *_BOUNDS})),
    "boolean": ("BOOL", frozenset()),
    "object": ("JSON", frozenset({"maxProperties", "minProperties", "required"})),
    "array": ("JSON", frozenset({"maxItems", "minItems", "uniqueItems"})),
}
"""Each logical type with the source type that it stands for, and the options that it takes:
https://bitol-io.github.io/open-data-contract-standard/latest/schema/#logical-type-options"""

_FORMATS: Final = {
    ("string", "uuid"): "UUID",
    ("string", "byte"): "BYTES",
    ("string", "binary"): "BYTES",
    ("number", "f32"): "FLOAT64",
    ("number", "f64"): "FLOAT64",
}


class ColumnReader:
    """Reads one property. What is wrong is added to the file's faults."""

    def __init__(self, file: ContractFile, given: SchemaProperty, path: FieldPath) -> None:
        self._file = file
        self._given = given
        self._path = path
        self._options: dict[str, Any] = {}

    def read(self) -> ContractColumn | None:
        """Return the column, None where its name or type is unusable."""
        given = self._given
        self._options = self._known_options(given.logicalTypeOptions or {})
        name, declared = self._name(), self._declared()
        if name is None or declared is None:
            return None
        column_type = parse_type(declared)
        rules = self._rules(column_type)
        sized = length_of(declared)
        if sized is not None:
            rules["max_length"] = min(sized, rules.get("max_length") or sized)
        properties = CustomProperties(
            self._file, given.customProperties, self._path, COLUMN_PROPERTIES
        )
        transform = properties.choice("transform", Transform)
        if transform not in {None, Transform.DROP} and column_type.base != "STRING":
            properties.fault("transform", f"{transform} makes a text: the column must be a STRING")
        return ContractColumn(
            name=name,
            declared=declared,
            required=bool(given.required) or bool(given.primaryKey) or self._never_null(),
            description=self._description(),
            examples=tuple(map(_plain, given.examples or ())),
            classification=given.classification or "",
            transform=transform,
            **rules,
        )

    def _fault(self, message: str, *steps: str | int) -> None:
        self._file.fault((*self._path, *steps), message)

    def _name(self) -> str | None:
        key = "physicalName" if self._given.physicalName else "name"
        try:
            return column_name(self._given.physicalName or self._given.name or "")
        except RuleViolation as fault:
            self._fault(fault.msg, key)
            return None

    def _description(self) -> str:
        text = (self._given.description or "").strip()
        if len(text) > MAX_DESCRIPTION:
            self._fault(f"a description has at most {MAX_DESCRIPTION:,} characters", "description")
        return text

    def _declared(self) -> str | None:
        """Return the source type: the physical type, or what the logical type stands for."""
        given = self._given
        logical = given.logicalType
        if logical is not None and logical not in LOGICAL_TYPES:
            known = [*LOGICAL_TYPES]
            self._fault(f"{logical} is no logical type{close_to(logical, known)}", "logicalType")
            return None
        if given.physicalType:
            return self._physical(given.physicalType)
        if logical is None:
            self._fault("a column needs a physicalType or a logicalType")
            return None
        if logical == "timestamp" and self._options.get("timezone") is False:
            return "DATETIME"
        return _FORMATS.get((logical, self._options.get("format", "")), LOGICAL_TYPES[logical][0])

    def _physical(self, text: str) -> str | None:
        try:
            parse_type(text)
        except UnknownType as error:
            self._fault(str(error), "physicalType")
            return None
        return text

    def _known_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options that the logical type has; the others are faults."""
        if not options:
            return {}
        logical = self._given.logicalType
        if logical is None or logical not in LOGICAL_TYPES:
            self._fault("logicalTypeOptions need a logicalType", "logicalTypeOptions")
            return {}
        _, known = LOGICAL_TYPES[logical]
        for name in options:
            if name not in known:
                message = f"{logical} has no option `{name}`{close_to(name, sorted(known))}"
                self._fault(message, "logicalTypeOptions", name)
        return {name: value for name, value in options.items() if name in known}

    def _rules(self, column_type: ColumnType) -> dict[str, Any]:
        base = column_type.base
        rules: dict[str, Any] = {}
        option = "logicalTypeOptions"
        for name, field in zip(_BOUNDS, _snake_case(_BOUNDS), strict=True):
            if name in self._options and self._is_for(name, base, _ORDERED):
                rules[field] = self._value(self._options[name], column_type, option, name)
        for name, field in (("minLength", "min_length"), ("maxLength", "max_length")):
            if name in self._options and self._is_for(name, base, _COUNTED):
                rules[field] = self._length(name)
        if "pattern" in self._options and self._is_for("pattern", base, {"STRING"}):
            rules["pattern"] = self._pattern(self._options["pattern"], option, "pattern")
        for index, quality in enumerate(self._given.quality or ()):
            if quality.metric == "invalidValues" and _means_none(quality):
                rules |= self._valid_values(quality, column_type, index)
        return rules

    def _is_for(self, name: str, base: str, bases: frozenset[str] | set[str]) -> bool:
        if base not in bases:
            self._fault(f"{base} takes no {name}", "logicalTypeOptions", name)
        return base in bases

    def _valid_values(
        self, quality: DataQuality, column_type: ColumnType, index: int
    ) -> dict[str, Any]:
        rules: dict[str, Any] = {}
        path = ("quality", index, "arguments")
        arguments = quality.arguments or {}
        if "pattern" in arguments and column_type.base != "STRING":
            self._fault(f"{column_type.base} takes no pattern", *path, "pattern")
        elif "pattern" in arguments:
            rules["pattern"] = self._pattern(arguments["pattern"], *path, "pattern")
        valid = arguments.get("validValues")
        if isinstance(valid, list) and valid:
            texts = [
                self._value(value, column_type, *path, "validValues", place)
                for place, value in enumerate(valid)
                if value is not None
            ]
            rules["enum"] = tuple(text for text in texts if text is not None)
        elif "pattern" not in arguments:
            self._fault("invalidValues needs validValues, a list, or a pattern", *path)
        return rules

    def _value(self, value: Any, column_type: ColumnType, *steps: str | int) -> str | None:
        try:
            return column_type.canonicalise(value)
        except BadValue as error:
            self._fault(str(error), *steps)
            return None

    def _length(self, name: str) -> int | None:
        value = self._options[name]
        if type(value) is int and value >= 0:
            return value
        self._fault("a whole number of 0 or more is expected", "logicalTypeOptions", name)
        return None

    def _pattern(self, value: Any, *steps: str | int) -> str | None:
        try:
            pattern_search(str(value))
        except InvalidPattern as error:
            self._fault(f"RE2 does not take this pattern: {error}", *steps)
            return None
        return str(value)

    def _never_null(self) -> bool:
        """Whether a quality rule wants no NULL: the same as `required`."""
        return any(
            each.metric == "nullValues" and _means_none(each) for each in self._given.quality or ()
        )


def _plain(example: Any) -> Any:
    """Return an example as plain JSON; YAML also has dates, bytes and numbers of any size."""
    if isinstance(example, str | bool | float | None) or (
        isinstance(example, int) and example in WIDE_INTEGERS
    ):
        return example
    if isinstance(example, list):
        return [_plain(each) for each in example]
    if isinstance(example, dict):
        return {str(key): _plain(held) for key, held in example.items()}
    return str(example)


def _means_none(quality: DataQuality) -> bool:
    """Whether a rule allows no value at all, so that each value can be judged alone."""
    return quality.type in {None, "library"} and (
        (quality.mustBe is not None and quality.mustBe == 0)
        or quality.mustBeLessThan == 1
        or quality.mustBeLessOrEqualTo == 0
    )


def _snake_case(names: Sequence[str]) -> list[str]:
    return [
        "".join(f"_{char.lower()}" if char.isupper() else char for char in name) for name in names
    ]
