from typing import Any

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.query_job import QueryJob


def job(**query: Any) -> QueryJob:
    return QueryJob("p", "j", "EU", {"query": {"query": "SELECT 1", **query}}, 1.5)


def test_parameters_are_found_without_case_until_the_end() -> None:
    given = {
        "name": "Rows",
        "parameterType": {"type": "STRING"},
        "parameterValue": {"value": "text"},
    }
    own = job(queryParameters=[given])
    assert own.parameters == {"rows": "text"}
    assert own.parameter_types == {"rows": "STRING"}
    own.finish()
    assert own.parameters == {}


def test_the_default_dataset_has_its_project() -> None:
    assert job().default_dataset == ""
    assert job(defaultDataset={"datasetId": "d"}).default_dataset == "p.d"


def test_a_job_shows_its_state_its_location_and_what_it_bills() -> None:
    own = job()
    assert own.as_json()["status"] == {"state": "RUNNING"}
    own.bytes_billed = 7
    own.refused = refusals.ddl_rate()
    own.finish()
    found = own.as_json()
    assert found["id"] == "p:EU.j"
    assert found["jobReference"]["location"] == "EU"
    assert found["status"]["errorResult"]["reason"] == "rateLimitExceeded"
    assert found["statistics"]["query"]["totalBytesBilled"] == "7"
