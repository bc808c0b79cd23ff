"""The schema rule as JSON Schema 2020-12, built from the patterns and types that enforce it.

JSON Schema cannot compare lists: the column lists have the same length, a value fits the type at
its index, two names differ in more than case. The descriptions state these rules. So every payload
that is invalid here is invalid for `schema.payload` too, but not the reverse.
"""

import re
from collections.abc import Collection, Iterable
from typing import Any, Final

from schema import types, validators

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
"""BigQuery type → the JSON form of its values."""

_SPACE = r"[ \t\n\r\f\v]"
_NUMBER = rf"{_SPACE}*[0-9]+{_SPACE}*"


def json_schemas(ref: str) -> dict[str, Any]:
    """Return the schemas of a transaction and its parts by name. A reference is `ref` + name."""
    head = {"table": {"$ref": f"{ref}TableName"}}
    lists = {
        "col_names": _list(
            "Each name is unique. Upper and lower case are equal.",
            items={"$ref": f"{ref}ColumnName"},
            uniqueItems=True,
        ),
        "col_types": _list("The same length as col_names.", items={"$ref": f"{ref}ColumnType"}),
        "col_values": _list(
            "The same length as col_names. Each value is null or fits the type at its index."
        ),
    }
    return {
        "Transaction": _object(
            "Its activities are applied in order, all or none.",
            activities={"type": "array", "items": {"$ref": f"{ref}Activity"}, "minItems": 1},
        ),
        "Activity": {
            "oneOf": [{"$ref": f"{ref}{each.capitalize()}"} for each in validators.OPERATIONS]
        },
        "Insert": _object(
            "Adds a row. Creates a missing table and adds missing columns.",
            operation={"const": "insert"},
            **head,
            **lists,
        ),
        "Delete": _object(
            "Removes every row that matches all the given columns. null matches NULL.",
            operation={"const": "delete"},
            **head,
            value_to_delete={"$ref": f"{ref}Columns"},
        ),
        "Update": _object(
            "Sets columns of every row that matches all the columns of value_to_match. null matches"
            " NULL. Adds missing columns that it sets.",
            operation={"const": "update"},
            **head,
            value_to_match={"$ref": f"{ref}Columns"},
            **lists,
        ),
        "Upsert": _object(
            "Sets the columns of every row with this key, or adds a row if there is none. Creates a"
            " missing table and adds missing columns.",
            optional=("key",),
            operation={"const": "upsert"},
            **head,
            key=_list(
                "One or more of col_names. Their values are not null. May be left out where the"
                " table's contract has a primary key.",
                items={"$ref": f"{ref}ColumnName"},
                uniqueItems=True,
            ),
            **lists,
        ),
        "Columns": _object("Columns and the values to match.", **lists),
        **_single_values(),
    }


def _single_values() -> dict[str, Any]:
    return {
        "TableName": {
            "type": "string",
            "pattern": _whole(validators.TABLE_NAME.pattern),
            "not": {"pattern": f"^{_any_case(validators.RESERVED_TABLE_PREFIX)}"},
            "examples": ["orders"],
        },
        "ColumnName": {
            "type": "string",
            "pattern": _whole(validators.COLUMN_NAME.pattern),
            "not": {
                "pattern": f"^({'|'.join(map(_any_case, validators.RESERVED_COLUMN_PREFIXES))})"
            },
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


def _list(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "description": description, **keywords}


def _object(
    description: str, *, optional: Collection[str] = (), **properties: Any
) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _whole(pattern: str) -> str:
    return f"^({pattern})$"


def _any_case(text: str) -> str:
    """Return a pattern for a text in any case: patterns in JSON Schema have no flags."""
    return "".join(
        f"[{each.upper()}{each.lower()}]" if each.isalpha() else re.escape(each) for each in text
    )


def _type_pattern() -> str:
    length = rf"\({_NUMBER}\){_SPACE}*"
    scale = rf"(\({_NUMBER}(,{_NUMBER})?\){_SPACE}*)?"
    sized, decimal = _any_of(types.SIZED) + length, _any_of(types.DECIMALS) + scale
    return f"{_SPACE}*({_any_of(types.SIMPLE)}|{sized}|{decimal})"


def _any_of(names: Iterable[str]) -> str:
    words = (f"{_SPACE}+".join(map(_any_case, name.split())) for name in names)
    return f"({'|'.join(words)}){_SPACE}*"


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
