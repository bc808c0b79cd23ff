import pytest
from aiohttp.test_utils import make_mocked_request

from server.http.body import check_type
from server.http.refusal import UNSUPPORTED, Refusal


def check(content_type: str | None, *accepted: str) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    check_type(make_mocked_request("POST", "/", headers=headers), *accepted)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/json",
        "application/a+json",
    ],
)
def test_json_is_accepted(content_type: str) -> None:
    check(content_type)


@pytest.mark.parametrize(
    "content_type", [None, "text/xml", "application/octet-stream", "json", "a+json"]
)
def test_other_types_and_none_are_refused_with_what_is_accepted(content_type: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        check(content_type)
    assert refused.value.kind == UNSUPPORTED
    (fault,) = refused.value.faults
    assert (fault.rule, fault.got) == ("media_type", content_type or "")
    assert "application/json" in fault.message


def test_named_types_replace_json() -> None:
    check("application/x-ndjson", "application/x-ndjson", "application/jsonl")
    with pytest.raises(Refusal):
        check("application/json", "application/x-ndjson")
