import pytest

from ops.local.pubsub import request_checks
from ops.local.pubsub.status_errors import StatusError


@pytest.mark.parametrize("name", ["abc", "a" * 255, "a.b_c~d+e%f-1"])
def test_names_that_pubsub_takes(name: str) -> None:
    request_checks.check_name(f"projects/p/topics/{name}", "topics")


@pytest.mark.parametrize(
    "path",
    ["abc", "projects/p/topics/ab", "projects/p/topics/1ab", "projects/p/topics/google",
     "projects/p/topics/" + "a" * 256, "projects/p/subscriptions/abc", "projects//topics/abc",
     "projects/p/topics/abc\n"],
)  # fmt: skip
def test_names_that_pubsub_refuses(path: str) -> None:
    with pytest.raises(StatusError):
        request_checks.check_name(path, "topics")
