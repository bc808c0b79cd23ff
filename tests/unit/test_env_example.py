import re

from ops.runtime.settings import LOCAL_DEFAULTS, RULES
from tests.support.processes import ROOT

SHOWN = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_example_names_every_setting_and_no_other() -> None:
    assert SHOWN.keys() == RULES.keys()


def test_the_example_shows_the_defaults() -> None:
    defaults = {name: default for name, (_, default) in RULES.items() if default is not None}
    local = {name: value for name, value in LOCAL_DEFAULTS.items() if name != "PROJECT_ID"}
    assert {name: SHOWN[name] for name in defaults | local} == defaults | local


def test_every_value_that_is_shown_could_be_used() -> None:
    for name, (rule, _) in RULES.items():
        if name != "GOOGLE_APPLICATION_CREDENTIALS":  # that file exists nowhere
            rule(SHOWN[name])
