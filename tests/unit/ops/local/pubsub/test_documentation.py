import re

from ops.fleet.config import ROOT


def test_every_difference_that_a_test_names_is_documented() -> None:
    documented = (ROOT / "docs" / "pubsub.md").read_text()
    marks = {
        mark
        for file in (ROOT / "tests" / "integration" / "pubsub").glob("test_*.py")
        for mark in re.findall(r'emulator_differs\("([^"]+)"\)', file.read_text())
    }
    assert len(marks) > 1
    assert [mark for mark in sorted(marks) if mark not in documented] == []
