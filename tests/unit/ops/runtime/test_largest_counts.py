import random

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ops.runtime.largest_counts import LARGEST, MAX_NAMES, LargestCounts

OUTCOMES = ("applied", "rejected")


def counter() -> tuple[LargestCounts, CollectorRegistry]:
    registry = CollectorRegistry()
    return LargestCounts("x", "Text.", "table", OUTCOMES, registry), registry


def scraped(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.labels["outcome"], sample.labels["table"]): sample.value
        for family in families
        for sample in family.samples
    }


def test_each_name_and_outcome_has_its_count() -> None:
    counts, registry = counter()
    for outcome, table in [
        ("applied", "a"),
        ("applied", "a"),
        ("applied", 'b"\n'),
        ("rejected", "a"),
    ]:
        counts.add(outcome, table)
    assert scraped(registry) == {
        ("applied", "a"): 2,
        ("applied", 'b"\n'): 1,
        ("rejected", "a"): 1,
    }


def test_the_largest_are_named_also_those_that_came_late_and_the_rest_is_other() -> None:
    counts, registry = counter()
    for number in range(MAX_NAMES * 3):
        counts.add("applied", f"t{number}")
    for _ in range(100):
        counts.add("applied", "late")
        counts.add("applied", "other")
    scraped(registry)  # from here on under its own name
    counts.add("applied", "late")
    found = scraped(registry)
    assert len(found) == LARGEST  # `other` is one of the largest
    assert found["applied", "late"] == 101
    assert found["applied", "other"] == 100 + MAX_NAMES * 3 - (LARGEST - 2)


def test_no_series_falls_and_nothing_is_counted_twice() -> None:
    counts, registry = counter()
    chance = random.Random(1)
    seen: dict[tuple[str, str], float] = {}
    total = 0
    for turn in range(60):
        for _ in range(200):
            # Each turn has other favourites, so names come and go among the largest.
            number = int(chance.paretovariate(0.3)) + turn * 40
            counts.add("applied", f"t{number % MAX_NAMES}")
            total += 1
        found = scraped(registry)
        assert len(found) <= LARGEST + 1
        assert all(value >= seen.get(key, 0) for key, value in found.items())
        seen |= found
    assert sum(seen.values()) == total, "each is in one series that was shown"
