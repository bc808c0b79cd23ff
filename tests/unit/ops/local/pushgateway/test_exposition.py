import math

import hypothesis.strategies as st
import pytest
from hypothesis import given
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from ops.local.pushgateway import exposition
from ops.local.pushgateway.exposition import InvalidExposition


def test_a_text_comes_back_as_it_was() -> None:
    text = (
        "# HELP a_total Help with \\\\ and \\n in it.\n# TYPE a_total counter\n"
        'a_total{x="q\\"u\\\\o\\nt}e,=",y=""} 3\n'
        '# TYPE h histogram\nh_bucket{le="0.5"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3.25\nh_count 2\n'
        "# TYPE u untyped\nu 1e-09\n"
    )
    assert exposition.render(exposition.parse(text).values()) == text


@given(
    st.dictionaries(st.from_regex("[a-z]{1,6}", fullmatch=True), st.text(), max_size=3),
    st.floats(),
    st.text(),
)
def test_what_is_rendered_can_be_parsed(labels: dict[str, str], value: float, text: str) -> None:
    family = Metric("a", text, "counter")
    family.samples = [Sample("a", labels, value)]
    (found,) = exposition.parse(exposition.render([family])).values()
    assert found.type == "counter"
    (sample,) = found.samples
    assert sample.labels == labels
    assert exposition.number(sample.value) == exposition.number(value)


def test_the_parts_of_a_histogram_belong_to_it_and_lookalikes_do_not() -> None:
    families = exposition.parse(
        "# TYPE h histogram\nh_sum 1\nh_count 1\n# TYPE c counter\nc_count 1\n"
    )
    assert sorted(families) == ["c_count", "h"]


def test_spaces_tabs_and_comments_are_ignored() -> None:
    families = exposition.parse('# a comment\n\n  a { x = "1" , } \t 2 \r\n')
    assert families["a"].samples == [Sample("a", {"x": "1"}, 2.0)]


def test_a_family_may_be_interrupted_by_another() -> None:
    families = exposition.parse('# TYPE a counter\na{x="1"} 1\nb 1\na{x="2"} 2\n')
    assert families["a"].type == "counter"
    assert [sample.value for sample in families["a"].samples] == [1, 2]


def test_a_counters_name_stays_as_it_was_pushed() -> None:
    text = "# TYPE a counter\na 1\n# TYPE a_total counter\na_total 2\n"
    assert exposition.render(exposition.parse(text).values()) == text


def test_a_family_without_samples_is_left_out() -> None:
    assert exposition.parse("# HELP a A.\n# TYPE a gauge\n") == {}


@pytest.mark.parametrize(
    "text",
    [
        "a 1\na{ 2\n",
        "a\n",
        "a one\n",
        "a 1",
        'a{b="1"c="2"} 1\n',
        'a{b="1",b="2"} 1\n',
        'a{b="1", ="2"} 1\n',
        '{"a b"} 1\n',
        'a{"b c"="1"} 1\n',
        "a 1\n# TYPE a gauge\n",
        "# TYPE a gauge\n# TYPE a gauge\n",
        "# TYPE a wild\n",
        '# TYPE a histogram\na_bucket{le="x"} 1\n',
        f"a {'9' * 400}\n",
    ],
)
def test_invalid_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidExposition, match="text format parsing error: "):
        exposition.parse(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-0.5, "-0.5"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    assert exposition.number(value) == text
