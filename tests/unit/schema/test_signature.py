from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schema import compose_message, is_signed, sign

KEY = b"k" * 32
_PARTS = st.fixed_dictionaries(
    {name: st.text(max_size=20) for name in ("id", "source", "received_at", "ordering_key")}
)


@given(_PARTS, _PARTS, st.binary(max_size=9), st.binary(max_size=9))
def test_a_signature_is_one_of_all_that_a_worker_believes(
    parts: dict[str, Any], others: dict[str, Any], body: bytes, other_body: bytes
) -> None:
    message = compose_message(body, **parts)
    signed = message._replace(signature=sign(message, KEY))
    other = compose_message(other_body, **others)._replace(signature=signed.signature)

    assert is_signed(signed, KEY)
    assert is_signed(signed._replace(copy_possible=True), KEY)
    assert is_signed(other, KEY) == ((parts, body) == (others, other_body))
    assert not is_signed(signed, KEY[:-1])
    assert not is_signed(message, KEY)
    assert not is_signed(message._replace(signature="\u00e9\udcff"), KEY)
