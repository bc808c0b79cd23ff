from pathlib import Path

import pytest

from ops.runtime.api_keys import ApiKey
from server.http.rate import RateLimits
from server.http.refusal import TOO_MANY, Refusal
from tests.support.fake_clock import FakeClock


def key(rate: float | None, burst: int = 1, name: str = "billing") -> ApiKey:
    return ApiKey(name, b"", b"", "", rate=rate, burst=burst)


def taken(limits: RateLimits, one: ApiKey) -> int:
    """Take until it is refused; return how many passed."""
    count = 0
    while limits.seconds_to_wait(one) == 0:
        count += 1
    return count


def test_the_burst_passes_and_then_the_rate(tmp_path: Path) -> None:
    clock = FakeClock(10**15)
    limits = RateLimits(tmp_path, clock)
    one = key(200, 400)
    assert taken(limits, one) == 400
    clock.now += 10**9
    assert taken(limits, one) == 200
    clock.now += 10**12
    assert taken(limits, one) == 400  # no more than the burst


def test_past_the_rate_the_refusal_has_the_seconds_to_wait(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path, FakeClock(10**15))
    limits.check(key(0.1))
    with pytest.raises(Refusal) as refused:
        limits.check(key(0.1))
    assert (refused.value.kind, refused.value.headers) == (TOO_MANY, {"Retry-After": "10"})


def test_the_servers_of_a_machine_share_a_rate_and_keys_do_not(tmp_path: Path) -> None:
    clock = FakeClock(10**15)
    one, other = RateLimits(tmp_path, clock), RateLimits(tmp_path, clock)
    assert taken(one, key(10, 5)) == 5
    assert taken(other, key(10, 5)) == 0
    assert taken(other, key(10, 5, "../orders")) == 5
    assert all(other.seconds_to_wait(key(None, name="free")) == 0 for _ in range(100))


def test_a_clock_that_starts_again_gives_the_allowance_back(tmp_path: Path) -> None:
    clock = FakeClock(10**15)
    limits = RateLimits(tmp_path, clock)
    assert taken(limits, key(1, 5)) == 5
    clock.now = 0
    assert taken(limits, key(1, 5)) == 5


def test_without_a_disk_a_server_keeps_the_rate_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert taken(RateLimits(file / "below", FakeClock(10**15)), key(1, 5)) == 5


async def test_a_line_waits_for_its_turn_or_is_refused(tmp_path: Path) -> None:
    limits = RateLimits(tmp_path)
    for _ in range(5):
        await limits.pace(key(100))
    await limits.pace(key(0.01, name="slow"))
    with pytest.raises(Refusal):
        await limits.pace(key(0.01, name="slow"))
