from google.api_core.exceptions import BadRequest, Forbidden, ServiceUnavailable

from server.console.rejected_actions import _refused


def test_a_failure_says_that_nothing_is_lost() -> None:
    for error in (ServiceUnavailable("x"), TimeoutError(), BadRequest("x"), ConnectionError()):
        refused = _refused(error)
        assert refused.kind.status == 503
        assert "it is safe to try it again" in refused.faults[0].message


def test_an_account_without_the_role_is_named_what_it_needs() -> None:
    refused = _refused(Forbidden("Access Denied"))
    assert refused.kind.status == 403
    assert "bigquery.dataEditor" in refused.faults[0].message
