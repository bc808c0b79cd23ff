from typing import Any

from ops.fleet.config import ROOT
from tests.support.advisories import FILES, verdict


def _package(name: str, *flaws: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(flaws)}


def test_a_vulnerability_that_a_version_fixes_fails() -> None:
    lines, well = verdict([_package("a", {"id": "PYSEC-1", "fix_versions": ["1.1"]})])
    assert not well
    assert lines == ["a 1.0: PYSEC-1, fixed in 1.1"]


def test_one_that_no_version_fixes_is_listed_and_does_not_fail() -> None:
    lines, well = verdict([_package("a", {"id": "PYSEC-1", "fix_versions": []}), _package("b")])
    assert well
    assert lines == ["a 1.0: PYSEC-1, no version fixes it yet"]


def test_what_was_not_looked_up_is_not_called_clean() -> None:
    skipped = {"name": "a", "skip_reason": "not found"}
    assert verdict([skipped]) == (
        ["PyPI's advisories cannot be reached from here: nothing was looked up"],
        True,
    )
    assert verdict([skipped, _package("b")]) == (["1 packages could not be looked up"], True)


def test_clean_packages_leave_nothing_to_say() -> None:
    assert verdict([_package("a"), _package("b")]) == ([], True)


def test_every_file_of_requirements_is_looked_up_and_has_hashes() -> None:
    assert sorted(FILES) == sorted(path.name for path in ROOT.glob("requirements*.txt"))
    for name in FILES:
        lines = (ROOT / name).read_text().replace("\\\n", "").splitlines()
        pins = [line for line in lines if line and not line.startswith("#")]
        assert pins
        assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)
