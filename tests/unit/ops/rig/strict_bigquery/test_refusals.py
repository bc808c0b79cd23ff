import pytest

from ops.rig.strict_bigquery import refusals
from ops.rig.strict_bigquery.documented_rules import RULES
from ops.rig.strict_bigquery.refusals import Refused

MADE = [
    refusals.job_not_found("p", "j"),
    refusals.job_not_found("p", "j", "not_found_after_duplicate"),
    refusals.dml_rate("p.d.t"),
    refusals.ddl_rate(),
    refusals.too_many_outstanding("daily_inserts", "p.d.t", 100),
    refusals.too_many_outstanding("queued_mutations", "p.d.t", 20),
    refusals.request_too_large(11, 10),
    refusals.sql_too_long(),
    refusals.too_many_tables(100),
    refusals.ddl_in_transaction("CREATE"),
    refusals.conflict("p.d.t", "1"),
    refusals.timed_out(1),
]


def test_every_refusal_belongs_to_a_rule_with_a_page() -> None:
    assert {each.rule for each in MADE} == RULES.keys() - {"lossy_cast"}
    assert all(page.startswith("https://") for page in RULES.values())


@pytest.mark.parametrize("refused", MADE)
def test_an_answer_has_the_form_of_the_api(refused: Refused) -> None:
    error = refused.body["error"]
    assert error["code"] == refused.status >= 400
    assert error["errors"][0]["reason"] == refused.reason
    assert error["status"].isupper()


def test_a_vastly_larger_request_gets_413() -> None:
    assert refusals.request_too_large(15, 10).status == 400
    assert refusals.request_too_large(21, 10).status == 413
