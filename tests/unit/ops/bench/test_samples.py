import pytest

from ops.bench.samples import Samples, growth, ratios


def test_a_figure_is_its_median_and_its_range() -> None:
    samples = Samples((3.0, 1.0, 2.0))
    assert samples.text(1) == "2.0 (1.0 to 3.0)"


def test_a_single_measurement_has_no_range() -> None:
    assert Samples((1234.5,)).text() == "1,234"


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios(Samples((1, 20)), Samples((2, 10))).values == (0.5, 2.0)


def test_ratios_of_unequal_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios(Samples((1, 2)), Samples((1,)))


def test_a_saw_tooth_does_not_grow() -> None:
    saw = [(float(x), float(x % 4)) for x in range(80)]
    assert growth(saw) == pytest.approx(0.0)


def test_growth_is_y_for_each_x() -> None:
    assert growth([(x / 2, 3.0 * x) for x in range(40)]) == pytest.approx(6.0)


def test_too_few_points_do_not_grow() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth([(0.0, 0.0), (1.0, 1.0)])
