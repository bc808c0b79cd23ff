import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERT = re.compile(r'alertname="(\w+)"')


def test_every_rule_uses_only_existing_metrics_and_labels(rules: Any, vocabulary: Any) -> None:
    unknown = {name for each in rules.expressions() for name in vocabulary.unknown(each)}

    assert unknown == set()


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(gatekeeper_publishd_total[5m]))",
        "gatekeeper_applied / gatekeeper_applied_total",
        'gatekeeper_requests_total{code="500"}',
        "sum by (tabel) (gatekeeper_applied_total)",
        "gatekeeper:no_such_record:rate5m > 0 and up == 1",
    ],
)
def test_a_name_that_does_not_exist_is_detected(expression: str, vocabulary: Any) -> None:
    assert len(vocabulary.unknown(expression)) == 1


def test_no_name_is_recorded_or_alerted_twice(rules: Any) -> None:
    names = [rule.get("record") or rule["alert"] for rule in [*rules.recorded, *rules.alerts]]

    assert len(names) == len(set(names))


def test_every_alert_has_a_severity_and_all_annotations(rules: Any) -> None:
    wanted = {"summary", "description", "runbook_url"}
    for alert in rules.alerts:
        assert alert["labels"]["severity"] in {"critical", "warning"}, alert["alert"]
        assert set(alert["annotations"]) == wanted, alert["alert"]
        assert all(alert["annotations"].values()), alert["alert"]


def test_every_alert_is_tested_firing_and_silent(rules: Any, monitoring: Path) -> None:
    groups = yaml.safe_load((monitoring / "rules_test.yml").read_text())["tests"]
    cases = [case for group in groups for case in group["promql_expr_test"]]
    firing = {
        name
        for case in cases
        for sample in case["exp_samples"]
        for name in ALERT.findall(sample.get("labels", ""))
    }
    silent = {
        name for case in cases if not case["exp_samples"] for name in ALERT.findall(case["expr"])
    }
    alerts = {alert["alert"] for alert in rules.alerts}

    assert firing == alerts
    assert silent == alerts


def test_a_group_keeps_the_names_that_its_process_pushed(rules: Any, monitoring: Path) -> None:
    config = yaml.safe_load((monitoring / "prometheus.yml").read_text())
    jobs = config["scrape_configs"]

    assert all(job["honor_labels"] is True for job in jobs)
    names = "|".join(job["job_name"] for job in jobs)
    assert any(f'up{{job=~"{names}"}}' in each for each in rules.expressions())
    assert config["rule_files"] == ["rules.yml"]
