"""`gatekeeper contract`: its output and its exit status."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ops.commands.__main__ import main
from ops.commands.contract.contract_lint import github_line, lint
from ops.fleet.config import ROOT
from schema import check_body
from schema.contracts import ContractFault, ContractSet, open_key_faults
from schema.odcs import read_contracts
from server.contracts import ViolationStore
from server.contracts.violation_counts import Occurrences, ViolationKey
from tests.support.contracts import contract_text


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "contracts").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRACTS_DIR", "contracts")
    monkeypatch.setenv("STATE_DIR", "state")
    return tmp_path / "contracts"


def test_files_without_a_fault_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text(contract_text("orders"))
    assert main(["contract", "lint"]) == 0
    assert capsys.readouterr().out == "1 files, 1 tables: no faults\n"


def test_every_fault_is_listed_and_the_exit_status_is_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text("idd: x")
    (folder / "b.yaml").write_text(contract_text("orders"))
    (folder / "c.yaml").write_text(contract_text("orders"))
    assert main(["contract", "lint"]) == 1
    out, error = capsys.readouterr()
    assert "contracts/a.yaml:1: idd: the standard has no field `idd`; did you mean `id`?" in out
    assert "contracts/c.yaml:" in out
    assert "orders has a contract already, in contracts/b.yaml:" in out
    assert "faults in 3 files" in error


def test_json_has_every_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text("- 1")
    assert main(["contract", "lint", "--json", str(folder / "a.yaml")]) == 1
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert (fault["line"], fault["field"]) == (1, "")


def test_a_fault_is_a_github_annotation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text("- 1")
    assert main(["contract", "lint", "--github"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("::error file=contracts/a.yaml,line=1,title=contract::a contract is")


def test_a_github_annotation_has_no_line_breaks_of_its_text() -> None:
    line = github_line(ContractFault("a,b:c.yaml", 3, "id", "100 %\nbad"))
    assert line == "::error file=a%2Cb%3Ac.yaml,line=3,title=contract::id: 100 %25%0Abad"


def test_a_file_that_is_not_there_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "lint", "none.yaml"]) == 1
    assert "none.yaml: No such file or directory" in capsys.readouterr().err


def violated(
    state: Path, *, message: str = "a message", values: Sequence[str] = ("pera",), **fields: Any
) -> None:
    key = ViolationKey("orders", "2.1.0", "shop", "orders", "item", "contract_enum", refused=True)
    seen = Occurrences(1_234, 0, 86_400, message, [*values])
    store = ViolationStore(state / "contract_violations.sqlite")
    store.add({key._replace(**fields): seen}, datetime.now(UTC))


def test_the_report_lists_what_broke_contracts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    violated(tmp_path / "state")
    violated(tmp_path / "state", contract="items", table="items", team="stock")
    assert main(["contract", "report", "--team", "shop"]) == 0
    out = capsys.readouterr().out
    for part in ("1,234", "orders 2.1.0", "shop", "item", "contract_enum", "refused", "pera"):
        assert part in out
    assert "stock" not in out
    assert main(["contract", "report", "--json", "--contract", "items"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["contract"], row["count"], row["outcome"]) == ("items", 1_234, "refused")
    assert row["last"] == "1970-01-02T00:00:00+00:00"


def test_the_report_is_readable_on_a_terminal_of_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    state = tmp_path / "state"
    message = "`item` in orders must be one of tea (contract orders 2.1.0, team shop)"
    violated(state, message=message, values=["pera", "", "x" * 90])
    violated(state, message="no `itme` (contract orders 2.1.0, team shop); did you?", column="itme")
    violated(state, contract="", version="", team="", table="ordres", column="")
    assert main(["contract", "report"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "table orders: orders 2.1.0, team shop last 1970-01-02 00:00 UTC count" in out
    assert 'contract_enum `item` in orders must be one of tea: pera, "", ' + "x" * 20 in out
    assert "no `itme`; did you?" in out
    assert "table ordres: no contract" in out
    assert out.index("table orders") < out.index("table ordres"), "the most frequent first"


def test_a_report_without_violations_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "report"]) == 0
    assert "nothing broke a contract in the last 7 days" in capsys.readouterr().out


def test_docs_are_one_page_of_the_contracts_in_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.yaml").write_text(contract_text("orders"))
    (folder / "a.yaml").write_text(contract_text("payments"))
    (folder / "c.yaml").write_text(contract_text("old", status="retired"))
    assert main(["contract", "docs"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("<!doctype html>")
    assert re.findall(r'<article id="table-(\w+)"', page) == ["orders", "payments"]
    assert main(["contract", "docs", "--output", "out.html"]) == 0
    assert capsys.readouterr().out == "out.html: 2 tables\n"
    assert Path("out.html").read_text() == page
    assert main(["contract", "docs", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [each["table"] for each in tables] == ["orders", "payments"]
    assert tables[0]["columns"][0] == {"name": "id", "declared": "INTEGER"}


def test_docs_of_contracts_with_a_fault_are_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text("idd: x")
    assert main(["contract", "docs", "--output", "out.html"]) == 1
    assert "did you mean `id`?" in capsys.readouterr().err
    assert not Path("out.html").exists()


def test_docs_into_a_folder_that_is_not_there_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "docs", "-o", "none/out.html"]) == 1
    assert "none/out.html: No such file or directory" in capsys.readouterr().err


def test_the_readmes_contract_refuses_the_readmes_typo_and_takes_its_upsert() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## Contracts") : readme.index("## How it works")]
    (text,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert text.count("\n") == 10
    contracts = ContractSet(read_contracts("stock.yaml", text))
    refused, taken = (
        check_body(sent.encode()) for sent in re.findall(r"-d '(.*?)'", section, re.DOTALL)
    )
    violations = contracts.violations(refused)
    assert len(violations) == 2
    for each in violations:
        assert f'"pointer": "{each.pointer}", "rule": "{each.rule}"' in section
        assert f'"message": "{each.message}"' in section
    assert contracts.violations(taken) == []
    assert open_key_faults(taken, contracts.tables) == []


def test_the_shops_contracts_take_the_readmes_first_screen() -> None:
    readme = (ROOT / "README.md").read_text()
    first = readme[: readme.index("An invalid transaction")]
    (sent,) = re.findall(r"-d '(.*?)'", first, re.DOTALL)
    contracts = ContractSet(lint([ROOT / "contracts"]).contracts)
    assert contracts.tables["orders"].mode == "freeze"
    assert contracts.violations(check_body(sent.encode())) == []
