"""The rule as JSON Schema 2020-12, made from the patterns and the type table that enforce it.

JSON Schema has no word for lists that go together by index: that the column lists are of one
length, that a value fits its type, that two names differ by more than case. The descriptions say
so. What this schema refuses the rule refuses too; not the other way round.
"""

import re
from typing import Any, Final

from schema import rules, types

VALUES: Final = {
    "STRING": "a string",
    "INT64": "a whole number in 64 bits",
    "FLOAT64": "a finite number",
    "BOOL": "true or false",
    "NUMERIC or BIGNUMERIC": "a number, or a decimal string, that fits p and s exactly",
    "DATE": 'an ISO 8601 string: "2018-03-27"',
    "TIME": 'an ISO 8601 string: "11:58:28.988414"',
    "DATETIME": 'an ISO 8601 string: "2018-03-27 11:58:28.988414"',
    "TIMESTAMP": 'an ISO 8601 string: "2018-03-27T11:58:28.988414Z"; without an offset it is UTC',
    "JSON": "any JSON value",
    "BYTES": "a base64 string",
}
"""BigQuery's type → what its value is in JSON."""

_SPACE = r"[ \t\n\r\f\v]"
_NUMBER = rf"{_SPACE}*[0-9]+{_SPACE}*"


def json_schema(ref: str) -> dict[str, Any]:
    """Describe a transaction and its parts, by name; they refer to one another as `ref` + name."""
    head = {"table": {"$ref": f"{ref}TableName"}}
    lists = {
        "col_names": {
            "type": "array",
            "items": {"$ref": f"{ref}ColumnName"},
            "minItems": 1,
            "uniqueItems": True,
            "description": "No name stands twice, compared without case.",
        },
        "col_types": {
            "type": "array",
            "items": {"$ref": f"{ref}ColumnType"},
            "minItems": 1,
            "description": "As many as col_names.",
        },
        "col_values": {
            "type": "array",
            "minItems": 1,
            "description": "As many as col_names; each is null or fits the type at its index.",
        },
    }
    return {
        "Transaction": _object(
            "Applied whole or not at all, in order.",
            activities={"type": "array", "items": {"$ref": f"{ref}Activity"}, "minItems": 1},
        ),
        "Activity": {"oneOf": [{"$ref": f"{ref}Insert"}, {"$ref": f"{ref}Delete"}]},
        "Insert": _object(
            "Adds a row. A missing table is created, a missing column added.",
            operation={"const": rules.OPERATIONS[0]},
            **head,
            **lists,
        ),
        "Delete": _object(
            "Removes every row that matches on all the given columns; null matches NULL.",
            operation={"const": rules.OPERATIONS[1]},
            **head,
            value_to_delete={"$ref": f"{ref}Columns"},
        ),
        "Columns": _object("Columns and the values that they must have.", **lists),
        "TableName": {
            "type": "string",
            "pattern": _whole(rules.TABLE_NAME.pattern),
            "not": {"pattern": f"^{_any_case(rules.RESERVED_TABLE_PREFIX)}"},
            "examples": ["orders"],
        },
        "ColumnName": {
            "type": "string",
            "pattern": _whole(rules.COLUMN_NAME.pattern),
            "not": {"pattern": f"^({'|'.join(map(_any_case, rules.RESERVED_COLUMN_PREFIXES))})"},
            "examples": ["id"],
        },
        "ColumnType": {
            "type": "string",
            "maxLength": types.MAX_TYPE_LENGTH,
            "pattern": _whole(_type_pattern()),
            "description": _type_table(),
            "examples": ["INTEGER", "VARCHAR(255)", "DECIMAL(10,2)"],
        },
    }


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


def _any_case(text: str) -> str:
    """Write a pattern for a text in any case: JSON Schema's patterns know no flags."""
    return "".join(
        f"[{each.upper()}{each.lower()}]" if each.isalpha() else re.escape(each) for each in text
    )


def _type_pattern() -> str:
    def named(names: Any) -> str:
        words = (f"{_SPACE}+".join(map(_any_case, name.split())) for name in names)
        return f"({'|'.join(words)}){_SPACE}*"

    length = rf"\({_NUMBER}\){_SPACE}*"
    scale = rf"(\({_NUMBER}(,{_NUMBER})?\){_SPACE}*)?"
    simple, sized, decimal = map(named, (types.SIMPLE, types.SIZED, types.DECIMALS))
    return f"{_SPACE}*({simple}|{sized}{length}|{decimal}{scale})"


def _type_table() -> str:
    names: dict[str, list[str]] = {base: [] for base in VALUES}
    for name, ctype in types.SIMPLE.items():
        names[ctype.base].append(name)
    for name, (base, _) in types.SIZED.items():
        names[base].append(f"{name}(n)")
    names["NUMERIC or BIGNUMERIC"] = [f"{name}, {name}(p), {name}(p,s)" for name in types.DECIMALS]
    rows = [f"| {', '.join(names[base])} | {base} | {value} |" for base, value in VALUES.items()]
    head = ["A source type, in any case.", "", "| type | BigQuery | value |", "|---|---|---|"]
    return "\n".join([*head, *rows])
