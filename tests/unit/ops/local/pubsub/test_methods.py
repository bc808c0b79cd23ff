import pytest

from ops.local.pubsub.methods import in_project, page
from ops.local.pubsub.refusals import Refused


def test_pages_follow_one_another_to_the_end() -> None:
    names = ["a", "b", "c"]
    first, token = page(names, 2, "")
    second, end = page(names, 2, token)
    assert (list(first), list(second), end) == (["a", "b"], ["c"], "")


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(Refused):
        page([], -1, "")


def test_a_project_does_not_see_one_whose_name_begins_like_its_own() -> None:
    paths = ["projects/pp/topics/b", "projects/p/topics/a"]
    assert in_project(paths, "projects/p") == ["projects/p/topics/a"]
