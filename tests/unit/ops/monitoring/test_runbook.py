import re
from pathlib import Path
from typing import Any

import pytest

from ops.fleet.config import ROOT
from ops.runtime.settings import Settings

RUNBOOK = ROOT / "docs" / "runbook.md"


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.fixture(scope="module")
def text() -> str:
    return RUNBOOK.read_text()


@pytest.fixture(scope="module")
def sections(text: str) -> dict[str, str]:
    _, *parts = re.split(r"^## +", text, flags=re.MULTILINE)
    return dict(part.split("\n", 1) for part in parts)


def test_every_alert_points_to_its_own_section(rules: Any, sections: dict[str, str]) -> None:
    assert [alert["alert"] for alert in rules.alerts] == list(sections)
    for alert in rules.alerts:
        expected = f"{RUNBOOK.relative_to(ROOT)}#{anchor(alert['alert'])}"
        assert alert["annotations"]["runbook_url"] == expected


def test_every_section_has_a_meaning_a_first_check_and_a_fix(
    sections: dict[str, str],
) -> None:
    for name, section in sections.items():
        meaning, check, fix = (
            section.find(f"**{word}**") for word in ("Meaning", "Check first", "Fix")
        )
        assert -1 < meaning < check < fix, name
        assert "`" in section[fix:], f"{name} has no command for the fix"


def test_every_link_has_a_target(text: str, sections: dict[str, str]) -> None:
    anchors = {anchor(name) for name in sections}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, fragment = target.partition("#")
        assert (RUNBOOK.parent / path).exists(), target
        assert not fragment or fragment in anchors, target


def test_every_setting_in_it_exists_and_accepts_the_value(text: str) -> None:
    changes = re.findall(r"\b([A-Z][A-Z_]+)=([\w.]+)", text)

    assert changes
    for name, value in changes:
        Settings.parse({name: value})  # raises for a bad value
        assert hasattr(Settings.parse({}), name.lower()), name


def test_every_log_event_in_it_is_logged_somewhere(text: str) -> None:
    sources = [
        path.read_text()
        for package in ("ops", "server", "workers")
        for path in Path(ROOT / package).rglob("*.py")
    ]
    written = set(re.findall(r'(?:logger\.\w+|write)\(\s*"(\w+)"', "\n".join(sources)))
    wanted = set(re.findall(r"grep -h ([a-z]+(?:_[a-z]+)+) ", text))
    for actions in re.findall(r'"action":"\(([\w|]+)\)"', text):
        wanted |= set(actions.split("|"))

    assert wanted
    assert wanted <= written
