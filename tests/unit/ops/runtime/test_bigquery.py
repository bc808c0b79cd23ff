from typing import TYPE_CHECKING, Any, cast

import pytest

from ops.runtime.bigquery import query

if TYPE_CHECKING:
    from google.cloud import bigquery


class FailingClient:
    """Records how it was called, and fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def query_and_wait(self, sql: str, **options: Any) -> Any:
        self.calls.append((sql, options))
        raise ConnectionError("not now")


def test_a_query_is_sent_once_with_its_parameters_limits_and_options() -> None:
    client = FailingClient()
    with pytest.raises(ConnectionError):
        query(
            cast("bigquery.Client", client),
            "SELECT @id",
            timeout=7.0,
            parameters={"id": "ab", "source": None},
            default_dataset="a-project.d",
            dry_run=True,
        )
    ((sql, options),) = client.calls
    assert sql == "SELECT @id"
    assert (options["retry"], options["job_retry"]) == (None, None)
    assert (options["api_timeout"], options["wait_timeout"]) == (7.0, 7.0)
    config = options["job_config"]
    assert [(each.name, each.type_, each.value) for each in config.query_parameters] == [
        ("id", "STRING", "ab"),
        ("source", "STRING", None),
    ]
    assert (config.default_dataset.dataset_id, config.dry_run) == ("d", True)
