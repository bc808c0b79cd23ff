import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from ops.runtime.settings import Settings
from ops.runtime.tracing import batch_span, context_of, current_trace, exporting_traces

VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@given(st.lists(st.text(max_size=80) | st.just(VALID)))
def test_what_others_wrote_into_a_messages_attribute_fails_no_batch(texts: list[str]) -> None:
    with batch_span(3, texts):
        pass


@pytest.mark.parametrize("text", ["", "no", VALID[:-1], f"{VALID}-x", VALID.replace("0af", "xyz")])
def test_an_invalid_traceparent_is_none(text: str) -> None:
    found = trace.get_current_span(context_of({"traceparent": text})).get_span_context()
    assert not found.is_valid


def test_without_a_collector_nothing_is_traced() -> None:
    with exporting_traces("vm:server_00", Settings.parse({})), batch_span(3, [VALID]):
        assert not current_trace()
