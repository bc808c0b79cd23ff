import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ops.fleet.config import ROOT

MONITORING = Path("ops/monitoring")  # promtool runs in the repository's root, as a person does

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on PATH (Debian: prometheus)"
)


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_reads_the_configuration_and_finds_the_rules() -> None:
    answer = promtool("check", "config", MONITORING / "prometheus.yml")

    assert "1 rule files found" in answer


def test_the_rules_are_valid_and_unique() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", MONITORING / "rules.yml")


def test_every_alert_fires_when_it_should_and_is_silent_when_not() -> None:
    promtool("test", "rules", MONITORING / "rules_test.yml")


def test_every_query_of_the_dashboard_is_valid_promql(tmp_path: Path) -> None:
    dashboard = json.loads((ROOT / MONITORING / "grafana.json").read_text())
    queries = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    queries += [each["expr"] for each in dashboard["annotations"]["list"]]
    filled_in = [
        query.replace("$__rate_interval", "1m").replace("$instance", ".*") for query in queries
    ]
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(filled_in)]
    file = tmp_path / "queries.yml"
    # JSON is YAML, too.
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert "$" not in "".join(filled_in)
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)
