import contextlib
import json

import pytest

from ops.commands.__main__ import main
from ops.runtime import clients
from ops.runtime.settings import Settings


def test_doubtful_statements_are_tried_and_their_tables_removed(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provision"]) == 0
    capsys.readouterr()
    status = main(["doctor", "--try", "--json"])
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["checks"]}
    assert status == 0, found
    assert {each["state"] for each in found.values()} == {"ok"}
    assert "nothing is changed" in found["ASSERT in a transaction"]["detail"]
    assert "one of two was cancelled" in found["two head updates"]["detail"]
    assert '"a":1.0' in found["JSON 1.0"]["detail"].partition("read as")[2]
    assert "the error names the statement" in found["failed statement"]["detail"]
    assert "neither bytes billed" in found["MERGE"]["detail"]
    with contextlib.closing(clients.warehouse(settings)) as client:
        names = [each.table_id for each in client.list_tables(settings.dataset_path)]
    assert names
    assert not [name for name in names if "_try_" in name]


@pytest.mark.usefixtures("settings")
def test_a_dataset_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--try", "--json"]) == 1
    (only,) = json.loads(capsys.readouterr().out)["checks"]
    assert only["check"] == "dataset"
    assert only["remedy"] == "gatekeeper provision"
