import pytest

from ops.rig.strict_bigquery.strict_report import StrictReport


def test_it_sums_by_statement_kind_and_table_and_gives_dollars_a_day() -> None:
    now = 100.0
    report = StrictReport(lambda: now)
    report.bill("DELETE", {"p.d.t": 2**40, "p.d.u": 2**40})
    report.bill("INSERT", {"p.d.t": 2**40})
    report.jobs["done"] += 1
    report.refusals["dml_rate"] += 1
    now += 43_200
    found = report.as_json()
    assert found["statements"] == {"DELETE": 1, "INSERT": 1}
    assert found["bytes_billed"] == {"total": 3 * 2**40, "DELETE": 2 * 2**40, "INSERT": 2**40}
    assert found["tables"]["p.d.t"] == {
        "DELETE": {"statements": 1, "bytes": 2**40},
        "INSERT": {"statements": 1, "bytes": 2**40},
    }
    assert found["dollars"] == pytest.approx(3 * 6.25)
    assert found["dollars_a_day"] == pytest.approx(6 * 6.25)
    assert found["refusals"]["dml_rate"]["source"].startswith("https://")


def test_a_reset_forgets_everything() -> None:
    report = StrictReport()
    report.bill("DELETE", {"p.d.t": 1})
    report.reset()
    assert report.as_json()["statements"] == {}
