import pytest

from ops.rig.strict_bigquery.__main__ import setup_of
from ops.rig.strict_bigquery.documented_rules import RULES


def test_the_documented_rules_apply_unless_they_are_off() -> None:
    address, setup = setup_of(["h:1", "--upstream", "h:2"])
    assert (address, setup.upstream, setup.limits.location) == ("h:1", "h:2", "US")
    assert setup.limits.rules == frozenset(RULES)
    assert (setup.latency.job, setup.latency.statement) == (1.0, 0.7)
    _, some = setup_of(["h:1", "--alone", "--off", "dml_rate,ddl_rate"])
    assert some.limits.rules == frozenset(RULES) - {"dml_rate", "ddl_rate"}
    _, none = setup_of(["h:1", "--alone", "--off", "all"])
    assert none.limits.rules == frozenset()


@pytest.mark.parametrize("words", [[], ["--alone", "--upstream", "h:2"], ["--alone", "--off", "x"]])
def test_options_that_do_not_fit_end_it(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        setup_of(["h:1", *words])
