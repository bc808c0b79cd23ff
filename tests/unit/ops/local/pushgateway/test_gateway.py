import pytest

from ops.local.pushgateway.gateway import InvalidGroupingKey, grouping_key


def test_the_key_is_the_paths_pairs_decoded() -> None:
    assert grouping_key("/metrics/job/a%2Fb/x@base64/ZcOp") == (("job", "a/b"), ("x", "eé"))


def test_the_first_job_and_the_last_of_other_labels_count() -> None:
    assert grouping_key("/metrics/job/a/job/b/x/1/x/2") == (("job", "a"), ("x", "2"))


@pytest.mark.parametrize(
    "path",
    ["/metrics/job/", "/metrics/job@base64/=", "/metrics/job/a/x", "/metrics/job/a/x@base64/*"],
)
def test_a_path_without_a_key_is_refused(path: str) -> None:
    with pytest.raises(InvalidGroupingKey):
        grouping_key(path)
