"""The shop's contracts are documents of the standard, for every tool of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops.commands.contract.contract_lint import lint
from ops.fleet.config import ROOT
from schema.contracts import Mode, Transform

FILES = sorted((ROOT / "contracts").glob("*.yaml"))


def datacontract_lint(file: Path) -> subprocess.CompletedProcess[str]:
    """Run the lint of the Data Contract CLI: https://cli.datacontract.com."""
    command = [str(Path(sys.executable).with_name("datacontract")), "lint", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_contract_passes_the_data_contract_cli(file: Path) -> None:
    done = datacontract_lint(file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_data_contract_cli_finds_a_typo(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.odcs.yaml"
    wrong.write_text(FILES[0].read_text().replace("status:", "statos:"))
    done = datacontract_lint(wrong)
    assert done.returncode == 1
    assert "status" in done.stdout


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
