import pytest
from aiohttp.test_utils import make_mocked_request

from server.http.auth import SOURCE
from server.http.limits import ByteLimit
from server.http.refusal import Refusal


def test_bytes_are_counted_to_their_request_until_it_is_answered() -> None:
    limit = ByteLimit(10)
    one, other, empty = (make_mocked_request("POST", "/") for _ in range(3))
    for number, request in enumerate((one, other, empty)):
        request[SOURCE] = str(number)
    limit.add(one, 3)
    limit.add(one, 2)
    limit.add(other, 5)
    with pytest.raises(Refusal):
        limit.add(empty, 1)
    limit.release(empty)
    assert limit.held == 10

    limit.release(one)
    limit.release(one)  # once is enough
    assert limit.held == 5
    limit.add(empty, 5)
    assert limit.held == 10
