"""Every sample verdict, checked against the rule where no table has a contract."""

import json
from pathlib import Path
from typing import Any

import pytest

from schema import InvalidJSON, InvalidSchema, check_body
from schema.contracts import open_key_faults

VERDICTS = Path(__file__).parents[2] / "conformance" / "verdicts.jsonl"
CASES = [json.loads(line) for line in VERDICTS.read_text().splitlines()]


def verdict(body: bytes) -> dict[str, Any]:
    try:
        transaction = check_body(body)
    except InvalidJSON:
        return {"status": 400, "message": "Invalid JSON"}
    except InvalidSchema as error:
        pointers = [fault.pointer for fault in error.faults]
        return {"status": 400, "message": "Invalid Schema", "pointers": pointers}
    if faults := open_key_faults(transaction, {}):
        pointers = [fault.pointer for fault in faults]
        return {"status": 400, "message": "Invalid Schema", "pointers": pointers}
    return {"status": 200}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_sample_gets_its_verdict(case: dict[str, Any]) -> None:
    body = case["raw"] if "raw" in case else json.dumps(case["body"])
    expected = {key: case[key] for key in ("status", "message", "pointers") if key in case}
    assert verdict(body.encode()) == expected
