"""Values of rows and bodies as JSON has them. Pure."""

import base64
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any


def json_value(value: Any) -> Any:
    """Return a value as JSON can hold it: exact, and as BigQuery itself would write it."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {key: json_value(each) for key, each in value.items()}
        case list():
            return [json_value(each) for each in value]
        case _:
            return value


def body_fields(data: bytes) -> dict[str, str | None]:
    """Return `body`, the text; for a body that is not UTF-8 it is null next to `body_base64`."""
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(data).decode()}
