import time
from pathlib import Path

import pytest

from ops.commands.doctor import machine_checks
from ops.commands.doctor.check_result import CheckFailed, CheckSkipped
from ops.runtime.pushed_metrics import LabelledValue, PushedGroup
from ops.runtime.settings import Settings
from server.publish import SpoolFailed
from server.spool import SpoolSummary


def test_a_clock_that_is_off_is_wrong_in_either_direction() -> None:
    assert "agrees with b" in machine_checks.check_skew(-1.2, "http://b/")
    with pytest.raises(CheckFailed, match="60 s ahead of b"):
        machine_checks.check_skew(60, "http://b/")
    with pytest.raises(CheckFailed, match="60 s behind b"):
        machine_checks.check_skew(-60, "http://b/")


def test_a_full_disk_and_missing_keys_are_wrong(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    settings = Settings.parse({"STATE_DIR": str(tmp_path / "new"), "API_KEYS_FILE": str(keys)})
    assert "GB free" in machine_checks.disk(settings, 1)
    with pytest.raises(CheckFailed, match="does not exist"):
        machine_checks.api_keys(settings, 1)
    keys.write_text("{}")
    keys.chmod(0o600)
    assert "is readable" in machine_checks.api_keys(settings, 1)
    with pytest.raises(CheckSkipped):
        machine_checks.api_keys(Settings.parse({}), 1)
    with pytest.raises(CheckFailed, match="GB free"):
        machine_checks.disk(settings, 1, least_free_bytes=10**18)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602, 0o601])
def test_a_keys_file_that_is_open_to_others_is_wrong(tmp_path: Path, mode: int) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    settings = Settings.parse(
        {
            "API_KEYS_FILE": str(keys),
            "GOOGLE_APPLICATION_CREDENTIALS": str(keys),
            "BIGQUERY_EMULATOR_HOST": "127.0.0.1:1",
        }
    )
    keys.chmod(0o640)
    machine_checks.check_private(keys)
    keys.chmod(mode)
    with pytest.raises(CheckFailed, match=f"open to other users .mode {mode:04o}") as failed:
        machine_checks.api_keys(settings, 1)
    assert failed.value.remedy == f"chmod 600 {keys}"


def test_a_ledger_that_forgets_an_id_before_its_last_copy_may_arrive_is_wrong() -> None:
    def check(days: str, hours: str = "24") -> str:
        settings = Settings.parse({"LEDGER_DAYS": days, "IDEMPOTENCY_HOURS": hours})
        return machine_checks.ledger_days(settings, 1)

    assert "30 days" in check("30")
    with pytest.raises(CheckFailed, match=r"LEDGER_DAYS=1 is too short .IDEMPOTENCY_HOURS=24"):
        check("1")
    with pytest.raises(CheckFailed, match=r"LEDGER_DAYS=7 is too short") as failed:
        check("7")
    assert failed.value.remedy.startswith("set LEDGER_DAYS=8 or more")
    assert "8 days" in check("8")


def test_a_halted_worker_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(*halted: float) -> str:
        def read_pushed(*_: object) -> list[PushedGroup]:
            return [
                PushedGroup(
                    "gatekeeper_worker",
                    f"worker_{number:02}",
                    {
                        "gatekeeper_halted": [LabelledValue({}, value)],
                        "push_time_seconds": [LabelledValue({}, time.time())],
                    },
                )
                for number, value in enumerate(halted)
            ]

        monkeypatch.setattr(machine_checks, "read_pushed", read_pushed)
        return machine_checks.workers(Settings.parse({}), 1)

    assert check(0, 0) == "none has halted"
    with pytest.raises(CheckFailed, match="worker_01 has halted") as failed:
        check(0, 1)
    assert "gatekeeper resume" in failed.value.remedy


def test_spooled_transactions_are_counted_and_refused_ones_are_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.parse({"STATE_DIR": str(tmp_path)})
    assert machine_checks.spool(settings, 1) == "nothing was ever spooled"

    def check(summary: SpoolSummary | SpoolFailed) -> str:
        def read_summary(*_: object) -> SpoolSummary:
            if isinstance(summary, SpoolFailed):
                raise summary
            return summary

        monkeypatch.setattr(machine_checks, "read_summary", read_summary)
        return machine_checks.spool(settings, 1)

    file = tmp_path / "spool.sqlite3"
    assert check(SpoolSummary(file, 0, 0, 0)) == "empty"
    assert check(SpoolSummary(file, 2, 1_500_000, 0)).startswith("2 transactions (1.5 MB)")
    with pytest.raises(CheckFailed, match="1 transactions that Pub/Sub refused"):
        check(SpoolSummary(file, 2, 20, 1))
    with pytest.raises(CheckFailed, match="not a database"):
        check(SpoolFailed(f"{file}: not a database"))
