import json

import pytest

from ops.rig.load_client import percentile, requests
from ops.rig.transaction_mix import TransactionMix


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected


def test_no_value_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no value"):
        percentile([], 0.5)


def test_requests_are_of_one_kind_with_their_length() -> None:
    (made,) = requests(1, TransactionMix(["t"], seed=1), "rewritten")
    head, _, body = made.partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % len(body))
    assert [each["operation"] for each in json.loads(body)["activities"]] == ["delete", "insert"]
