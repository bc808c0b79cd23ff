from typing import Any

import pytest
from google.api_core.exceptions import BadRequest

from ops.commands.doctor import doubtful_statements
from ops.commands.doctor.check_result import CheckFailed
from ops.commands.doctor.doubtful_statements import try_statements
from ops.commands.doctor.scratch_tables import ScratchTables
from ops.runtime import clients
from ops.runtime.settings import Settings


class EmptyDatasetClient:
    """Has one dataset, and no tables."""

    def get_dataset(self, *_: object, **__: object) -> None:
        pass

    def list_tables(self, *_: object, **__: object) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def refused(_: ScratchTables) -> str:
    raise BadRequest("no such\nstatement")


def broken(_: ScratchTables) -> str:
    raise CheckFailed("both committed")


@pytest.mark.parametrize("local", [True, False])
def test_a_refused_statement_ends_no_other_and_is_a_problem_only_in_the_cloud(
    *, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = {"refused": refused, "broken": broken, "fine": lambda _: "seen"}
    monkeypatch.setattr(doubtful_statements, "PROBES", probes)
    monkeypatch.setattr(clients, "warehouse", lambda _: EmptyDatasetClient())
    cloud = {
        "PROJECT_ID": "project-1",
        "DATASET_ID": "d",
        "TOPIC_ID": "topic",
        "SUBSCRIPTION_ID": "subscription",
    }
    found = {each.check: each for each in try_statements(Settings.load({} if local else cloud), 1)}
    assert found["refused"].state == ("skipped" if local else "wrong")
    assert "no such statement" in found["refused"].detail
    assert found["broken"].state == "wrong"
    assert found["fine"].detail.startswith("seen (")
    assert found["scratch tables"].state == "ok"
