"""The shop's contracts are documents of the standard, for every tool of it.

`datacontract lint` checks a file with the standard's JSON Schema. Its package cannot be installed
here, as it needs an older typer than Gatekeeper. So the same schema is used, from the standard's
own Python package.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from ops.commands.contract.contract_lint import lint
from ops.fleet.config import ROOT
from schema.contracts import Mode, Transform

FILES = sorted((ROOT / "contracts").glob("*.yaml"))


@pytest.fixture(scope="module")
def standard() -> jsonschema_rs.Validator:
    text = (resources.files("open_data_contract_standard") / "schema.json").read_text()
    return jsonschema_rs.validator_for(json.loads(text))


def document(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def errors(standard: jsonschema_rs.Validator, contract: Any) -> list[str]:
    return [error.message for error in standard.iter_errors(contract)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_contract_is_valid_by_the_standards_schema(
    standard: jsonschema_rs.Validator, file: Path
) -> None:
    assert errors(standard, document(file)) == []


def test_the_schema_finds_what_the_standard_does_not_have(
    standard: jsonschema_rs.Validator,
) -> None:
    contract = document(FILES[0])
    contract["schema"][0]["properties"][0]["logicalType"] = "int"
    contract["teem"] = contract.pop("status")
    found = "\n".join(errors(standard, contract))
    for part in ("int", "status", "teem"):
        assert part in found


def test_the_shop_shows_every_mode_and_every_part_of_a_layout() -> None:
    contracts = lint(FILES).contracts
    assert {each.table for each in contracts} == {"customers", "items", "orders", "payments"}
    assert {each.mode for each in contracts} == set(Mode)
    transforms = {column.transform for each in contracts for column in each.columns}
    assert transforms == {None, *Transform}
    for each in contracts:
        assert each.primary_key
        assert each.clustering
        assert each.labels
        assert each.team
        assert each.owner
        assert each.description
    partitions = [each.partition for each in contracts if each.partition]
    assert [each.expiration_days for each in partitions] == [None, 3_653]
