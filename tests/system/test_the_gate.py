import json
import sys
import time

from ops.fleet.config import ROOT
from ops.rig import wait_until
from ops.rig.disposable_fleet import DisposableFleet
from tests.support.stream import delete, insert, transaction


def test_a_posted_transaction_is_a_row_within_seconds(fleet: DisposableFleet) -> None:
    payload = transaction(insert("orders", id=1, text="héllo"))
    status, verdict = fleet.post(payload)
    assert (status, verdict["message"], verdict["error"]) == (200, "Valid Schema", None)
    assert verdict["payload"] == payload

    def row() -> list[dict[str, object]]:
        answer = fleet.gatekeeper(
            "query", "--json", "SELECT * FROM orders WHERE id = 1", check=False
        )
        return [json.loads(line) for line in answer.stdout.splitlines()]

    assert wait_until(row, what="the row is there") == [{"id": 1, "text": "héllo"}]


def test_a_rejected_transaction_leaves_nothing_and_its_neighbours_are_applied(
    fleet: DisposableFleet,
) -> None:
    key = "neighbours"
    rejected = transaction(insert(f"{key}_new", n=0), delete(f"{key}_missing", n=0))
    for payload in (
        transaction(insert(key, n=1)),
        rejected,
        transaction(insert(key, n=2)),
        transaction(delete(key, n=1), insert(key, n=3)),
    ):
        assert fleet.post(payload)[0] == 200
    settled = (
        "SELECT state, reason, COUNT(*) AS times FROM gatekeeper_ledger "
        f"WHERE ordering_key LIKE '{key}%' GROUP BY state, reason"
    )

    def outcomes() -> bool:
        found = {(row["state"], row["reason"]): row["times"] for row in fleet.query(settled)}
        return found == {("applied", None): 3, ("rejected", "table_missing"): 1}

    wait_until(outcomes, what="all four are settled")
    assert sorted(row["n"] for row in fleet.query(f"SELECT n FROM {key}")) == [2, 3]
    tables = fleet.query("SELECT table_name FROM INFORMATION_SCHEMA.TABLES")
    assert {row["table_name"] for row in tables}.isdisjoint({f"{key}_new", f"{key}_missing"})


def test_an_invalid_payload_gets_all_its_errors_and_is_not_published(
    fleet: DisposableFleet,
) -> None:
    status, verdict = fleet.post({"activities": [{"operation": "upsert", "table": "1st"}]})
    assert (status, verdict["message"]) == (400, "Invalid Schema")
    assert len(verdict["error"]) >= 2


def test_every_process_has_its_own_group_on_the_pushgateway(fleet: DisposableFleet) -> None:
    wanted = {
        (f"gatekeeper_{state.group}", f"{fleet.settings.instance}:{state.name}")
        for state in fleet.states("server", "worker", "notifier")
    }
    assert len(wanted) == 5

    def groups() -> set[tuple[str, str]]:
        name = "valid_payload_count_total"
        return {(each.job, each.instance) for each in fleet.pushed(name) if name in each.samples}

    wait_until(lambda: groups() == wanted, what=f"the groups are {wanted}, and no other")


def test_every_accepted_transaction_is_counted_as_applied_or_dead_lettered(
    fleet: DisposableFleet,
) -> None:
    names = [f"gatekeeper_{name}_total" for name in ("published", "applied", "dead_lettered")]

    def totals(pushed_since: float = 0.0) -> list[float]:
        """Return the fleet's totals; [] when a process has not pushed since then."""
        groups = fleet.pushed(*names)
        if any(group.pushed_at < pushed_since for group in groups):
            return []
        return [sum(group.total(name) for group in groups) for name in names]

    fleet.wait_until_drained(30)
    now = time.time()
    before = wait_until(lambda: totals(pushed_since=now), what="every process pushes")

    def settled() -> list[float]:
        return [after - earlier for after, earlier in zip(totals(), before, strict=True)]

    for number in range(20):
        assert fleet.post(transaction(insert("counted", n=number)))[0] == 200
    for number in range(3):
        assert fleet.post(transaction(delete("never_made", n=number)))[0] == 200
    assert fleet.post(transaction())[0] == 400
    wait_until(lambda: settled() == [23, 20, 3], what="23 accepted = 20 applied + 3 rejected")


def test_the_status_shows_the_processes_the_backlog_and_the_dead_letters(
    fleet: DisposableFleet,
) -> None:
    def readable() -> str | None:
        # A look-up may take longer than it may while the machine has other work.
        page = fleet.gatekeeper("status").stdout
        return None if "cannot read" in page else page

    shown = wait_until(readable, 120, "a status with everything in it")
    for name in ("server_00", "server_01", "worker_00", "worker_01", "pubsub", "bigquery"):
        assert name in shown
    assert "backlog: " in shown
    assert "dead letters: " in shown


def test_a_wrong_query_is_one_clear_line(fleet: DisposableFleet) -> None:
    answer = fleet.gatekeeper("query", "SELECT * FROM no_such_table", check=False)
    assert answer.returncode == 1
    assert "no_such_table" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_provisioning_again_changes_nothing(fleet: DisposableFleet) -> None:
    lines = fleet.gatekeeper("provision").stdout.splitlines()
    assert lines
    assert all(line.endswith("already there") for line in lines), lines


def test_without_a_target_the_autoscaler_logs_that_once_and_does_nothing(
    fleet: DisposableFleet,
) -> None:
    (state,) = fleet.states("autoscale")
    assert state.state == "RUNNING"
    events = map(json.loads, (fleet.run / "autoscale.log").read_text().splitlines())
    actions = [event.get("action") for event in events]
    assert "autoscale_off" in actions
    assert "scaled" not in actions


def test_locust_runs_headless_without_a_failure(fleet: DisposableFleet) -> None:
    words = ["--headless", "-u", "20", "-r", "20", "-t", "4s", "--only-summary"]
    host = f"http://{fleet.address}"
    done = fleet.command(
        sys.executable, "-m", "locust", "-f", ROOT / "locustfile.py", *words, "--host", host
    )
    assert "Aggregated" in done.stdout + done.stderr
