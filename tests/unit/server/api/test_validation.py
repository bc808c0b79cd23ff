import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from server.api.responses import INVALID_SCHEMA
from server.api.validation import RequestKeys, read_keys, validate
from server.http import Refusal
from server.http.refusal import INVALID_JSON
from tests.support.server_in_process import VALID


def keys(*headers: tuple[str, str]) -> RequestKeys:
    return read_keys(CIMultiDictProxy(CIMultiDict(headers)))


def test_both_keys_are_optional() -> None:
    assert keys() == (None, None, [])
    assert keys(("idempotency-key", "a")) == ("a", None, [])
    assert keys(("Ordering-Key", "ä" * 512)) == (None, "ä" * 512, [])


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ([("Idempotency-Key", "")], "idempotency_key"),
        ([("Idempotency-Key", "x" * 256)], "idempotency_key"),
        ([("Idempotency-Key", "a"), ("Idempotency-Key", "a")], "idempotency_key"),
        ([("Ordering-Key", "ä" * 513)], "ordering_key"),
        ([("Ordering-Key", "\udcff")], "ordering_key"),
    ],
)
def test_a_key_that_is_empty_too_long_or_repeated_is_a_fault(
    headers: list[tuple[str, str]], rule: str
) -> None:
    assert [fault.rule for fault in keys(*headers).faults] == [rule]


def test_faults_of_the_keys_and_of_the_body_are_listed_together() -> None:
    with pytest.raises(Refusal) as refused:
        validate(b'{"activities": []}', keys(("Idempotency-Key", "")))
    assert refused.value.kind == INVALID_SCHEMA
    assert refused.value.payload == b'{"activities": []}'
    first, second = refused.value.faults
    assert (first.rule, second.pointer) == ("idempotency_key", "/activities")

    with pytest.raises(Refusal):
        validate(VALID, keys(("Idempotency-Key", "")))
    assert len(validate(VALID, keys()).activities) == 1


def test_a_body_that_is_not_json_is_not_repeated() -> None:
    with pytest.raises(Refusal) as refused:
        validate(b"{", keys())
    assert (refused.value.kind, refused.value.payload) == (INVALID_JSON, b"null")
