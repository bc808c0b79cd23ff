import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ops.runtime import contract_files, contracts_in_force, metrics
from ops.runtime.contract_files import compiled_files, compiler
from ops.runtime.contracts_in_force import ContractsInForce
from ops.runtime.settings import Settings
from schema.contracts import InvalidContracts
from tests.support.contracts import contract_text


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were compiled; in this process, which saves a second each."""
    names: list[str] = []

    def compile_here(forms: Path, folder: Path, keys: Mapping[str, str]) -> None:
        names.extend(keys)
        compiler.compile_files(forms, folder, keys)

    monkeypatch.setattr(compiled_files, "_run_compiler", compile_here)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "contracts").mkdir()
    return tmp_path / "contracts"


@pytest.fixture
def settings(tmp_path: Path, folder: Path) -> Settings:
    return Settings.parse({"CONTRACTS_DIR": str(folder), "STATE_DIR": str(tmp_path / "state")})


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    an_hour_ago = time.time() - 3_600
    os.utime(file, (an_hour_ago, an_hour_ago))


def is_degraded() -> bool:
    return bool(metrics.DEGRADED.labels("contracts")._value.get())


def test_a_missing_folder_means_no_contracts(tmp_path: Path) -> None:
    settings = Settings.parse({"CONTRACTS_DIR": str(tmp_path / "no"), "STATE_DIR": str(tmp_path)})
    contracts = ContractsInForce.load(settings)
    assert (contracts.current.tables, contracts.faults) == ({}, ())


def test_files_of_subfolders_are_read_and_hidden_ones_and_others_are_not(
    folder: Path, settings: Settings
) -> None:
    write(folder / "orders.odcs.yaml", contract_text("orders"))
    write(folder / "shop" / "items.yml", contract_text("items"))
    write(folder / "..data" / "hidden.yaml", contract_text("hidden"))
    write(folder / "README.md", "no contract")
    contracts = ContractsInForce.load(settings)
    assert sorted(contracts.current.tables) == ["items", "orders"]
    assert contracts.current.tables["items"].file == "shop/items.yml"


def test_a_file_is_compiled_once_for_all_processes(
    folder: Path, settings: Settings, compiled: list[str]
) -> None:
    write(folder / "orders.yaml", contract_text("orders"))
    first = ContractsInForce.load(settings)
    second = ContractsInForce.load(settings)
    assert compiled == ["orders.yaml"]
    assert second.current.tables == first.current.tables
    write(folder / "items.yaml", contract_text("items"))
    first.refresh()
    second.refresh()
    assert compiled == ["orders.yaml", "items.yaml"]
    assert sorted(second.current.tables) == ["items", "orders"]


def test_nothing_changes_while_no_file_does(folder: Path, settings: Settings) -> None:
    write(folder / "orders.yaml", contract_text("orders"))
    contracts = ContractsInForce.load(settings)
    before = contracts.current
    contracts.refresh()
    assert contracts.current is before


def test_a_change_of_the_same_size_in_the_same_instant_is_seen(
    folder: Path, settings: Settings
) -> None:
    file = folder / "orders.yaml"
    file.write_text(contract_text("orders", version="1.0.0"))
    contracts = ContractsInForce.load(settings)
    file.write_text(contract_text("orders", version="2.0.0"))
    contracts.refresh()
    assert contracts.current.tables["orders"].version == "2.0.0"


def test_a_set_with_a_fault_is_refused_whole_and_the_old_one_stays(
    folder: Path, settings: Settings
) -> None:
    write(folder / "orders.yaml", contract_text("orders", version="1.0.0"))
    contracts = ContractsInForce.load(settings)
    assert not is_degraded()
    write(folder / "orders.yaml", contract_text("orders", version="2.0.0"))
    write(folder / "items.yaml", "idd: x")
    contracts.refresh()
    assert contracts.current.tables["orders"].version == "1.0.0"
    assert {(each.file, each.line) for each in contracts.faults} == {("items.yaml", 1)}
    assert is_degraded()
    (folder / "items.yaml").unlink()
    contracts.refresh()
    assert contracts.current.tables["orders"].version == "2.0.0"
    assert (contracts.faults, is_degraded()) == ((), False)


def test_two_files_for_one_table_are_a_fault(folder: Path, settings: Settings) -> None:
    write(folder / "a.yaml", contract_text("orders"))
    write(folder / "b.yaml", contract_text("orders"))
    with pytest.raises(InvalidContracts, match="orders has a contract already"):
        ContractsInForce.load(settings)


def test_a_new_process_goes_by_the_set_that_was_in_force(folder: Path, settings: Settings) -> None:
    write(folder / "orders.yaml", contract_text("orders"))
    ContractsInForce.load(settings)
    write(folder / "orders.yaml", "idd: x")
    restarted = ContractsInForce.load(settings)
    assert list(restarted.current.tables) == ["orders"]
    assert restarted.faults


def test_a_process_with_nothing_to_go_by_does_not_start(
    tmp_path: Path, folder: Path, settings: Settings
) -> None:
    write(folder / "orders.yaml", "idd: x")
    with pytest.raises(InvalidContracts) as caught:
        ContractsInForce.load(settings)
    assert len(caught.value.faults) > 1
    # Nor does the set of another folder count.
    other = tmp_path / "other"
    write(other / "orders.yaml", contract_text("orders"))
    state = {"STATE_DIR": str(tmp_path / "state")}
    ContractsInForce.load(Settings.parse({"CONTRACTS_DIR": str(other), **state}))
    with pytest.raises(InvalidContracts):
        ContractsInForce.load(settings)


def test_a_folder_that_disappears_does_not_end_the_contracts(
    folder: Path, settings: Settings
) -> None:
    write(folder / "orders.yaml", contract_text("orders"))
    contracts = ContractsInForce.load(settings)
    moved = folder.rename(folder.with_name("moved"))
    contracts.refresh()
    assert list(contracts.current.tables) == ["orders"]
    assert "the folder is gone" in str(contracts.faults[0])
    moved.rename(folder)
    contracts.refresh()
    assert contracts.faults == ()
    (folder / "orders.yaml").unlink()
    contracts.refresh()
    assert (contracts.current.tables, contracts.faults) == ({}, ())


def test_a_compiled_form_that_cannot_be_read_is_made_again(
    folder: Path, settings: Settings, compiled: list[str]
) -> None:
    write(folder / "orders.yaml", contract_text("orders"))
    ContractsInForce.load(settings)
    (form,) = (settings.state_dir / "contracts").glob("*.json")
    form.write_text("{")
    assert list(ContractsInForce.load(settings).current.tables) == ["orders"]
    assert compiled == ["orders.yaml"] * 2


def test_a_process_waits_for_files_that_change_while_it_starts(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_here = compiled_files._run_compiler

    def change_first(forms: Path, folder: Path, keys: Mapping[str, str]) -> None:
        monkeypatch.setattr(compiled_files, "_run_compiler", compile_here)
        write(folder / "orders.yaml", contract_text("orders", version="2.0.0"))
        compile_here(forms, folder, keys)

    monkeypatch.setattr(compiled_files, "_run_compiler", change_first)
    write(folder / "orders.yaml", contract_text("orders", version="1.0.0"))
    assert ContractsInForce.load(settings).current.tables["orders"].version == "2.0.0"


def test_a_compiler_that_ends_is_a_fault(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise contract_files.CompilerFailed("MemoryError")

    monkeypatch.setattr(compiled_files, "_run_compiler", fail)
    write(folder / "orders.yaml", contract_text("orders"))
    with pytest.raises(InvalidContracts, match="MemoryError"):
        ContractsInForce.load(settings)


def test_a_file_that_is_not_utf_8_is_a_fault(folder: Path, settings: Settings) -> None:
    (folder / "orders.yaml").write_bytes(b"id: x\nname: \xff")
    with pytest.raises(InvalidContracts, match=r"orders\.yaml:2: the file is not UTF-8"):
        ContractsInForce.load(settings)


async def test_the_watch_survives_an_error_that_nobody_expected(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracts = ContractsInForce.load(settings)
    monkeypatch.setattr(contracts_in_force, "POLL_SECONDS", 0.01)
    reads = iter([RuntimeError("oh"), None])

    def read_folder(_: Path) -> dict[str, contract_files.FileVersion]:
        if error := next(reads, None):
            raise error
        return contract_files.list_folder(folder) or {}

    monkeypatch.setattr(contracts_in_force, "list_folder", read_folder)
    watching = asyncio.create_task(contracts.watch())
    async with asyncio.timeout(60):
        while not contracts.faults:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert "RuntimeError: oh" in str(contracts.faults[0])
        while contracts.faults:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    watching.cancel()
