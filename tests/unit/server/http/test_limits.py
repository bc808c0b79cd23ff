import pytest
from aiohttp.test_utils import make_mocked_request

from server.http.limits import ByteLimit, ConcurrencyLimit
from server.http.refusal import UNAVAILABLE, Refusal


def test_too_many_blocks_are_refused_and_a_later_one_is_accepted() -> None:
    limit = ConcurrencyLimit(2)
    with limit, limit:
        with pytest.raises(Refusal) as refused, limit:
            pass
        assert refused.value.kind == UNAVAILABLE
        assert refused.value.headers == {"Retry-After": "1"}
    with limit, limit:
        pass


def test_a_block_that_fails_is_no_longer_in_flight() -> None:
    limit = ConcurrencyLimit(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limit:
            raise ZeroDivisionError


def test_bytes_are_counted_to_their_request_until_it_is_answered() -> None:
    limit = ByteLimit(10)
    one, other, empty = (make_mocked_request("POST", "/") for _ in range(3))
    limit.add(one, 4)
    limit.add(one, 5)
    with pytest.raises(Refusal):
        limit.add(other, 2)
    limit.release(other)
    limit.release(empty)
    assert limit.held == 9

    limit.release(one)
    limit.add(other, 10)
    assert limit.held == 10
