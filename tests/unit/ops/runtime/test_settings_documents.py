import re

import pytest

from ops.runtime.settings import DECLARATIONS
from ops.runtime.settings_documents import ROOT, env_example, readme_table, with_table

STALE = "run `python -m ops.runtime.settings_documents`"
SHOWN = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", env_example(), re.MULTILINE))


def test_the_example_file_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), STALE


def test_the_readme_is_current() -> None:
    readme = (ROOT / "README.md").read_text()
    assert with_table(readme) == readme, STALE


def test_the_example_names_every_setting_and_no_other() -> None:
    assert SHOWN.keys() == DECLARATIONS.keys()


def test_the_example_shows_the_defaults() -> None:
    for name, each in DECLARATIONS.items():
        default = each.default if each.default is not None else each.local_default
        if default is not None and name != "PROJECT_ID":
            assert SHOWN[name] == default


def test_every_value_that_is_shown_could_be_used() -> None:
    for name, each in DECLARATIONS.items():
        if not SHOWN[name].startswith("/path/to/"):
            each.parse(SHOWN[name])


def test_the_table_has_a_row_for_every_setting() -> None:
    assert re.findall(r"^\| `([A-Z_]+)`", readme_table(), re.MULTILINE) == list(DECLARATIONS)


def test_a_readme_without_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no table"):
        with_table("# Gatekeeper\n")
