"""Looks all requirements up in PyPI's advisories: `python -m tests.support.advisories`.

Fails when a pinned version has a known vulnerability that another version fixes. Where the
advisories cannot be reached (a machine with no network but a package mirror), it prints that and
passes: what was not looked up is never called clean.
"""

import json
import subprocess
import sys
from typing import Any

from ops.fleet.config import ROOT

FILES = ("requirements.txt", "requirements-local.txt", "requirements-dev.txt")
_SECONDS = 60
_COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip"),
    *("--progress-spinner", "off", "--format", "json"),
    *(word for name in FILES for word in ("--requirement", str(ROOT / name))),
)


def verdict(dependencies: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return the lines to print of pip-audit's report, and whether all is well."""
    examined = [each for each in dependencies if "skip_reason" not in each]
    lines = []
    well = True
    for each in examined:
        for flaw in each["vulns"]:
            fixed = ", ".join(flaw["fix_versions"])
            well = well and not fixed
            remedy = f"fixed in {fixed}" if fixed else "no version fixes it yet"
            lines.append(f"{each['name']} {each['version']}: {flaw['id']}, {remedy}")
    if not examined:
        lines.append("PyPI's advisories cannot be reached from here: nothing was looked up")
    elif len(examined) < len(dependencies):
        lines.append(f"{len(dependencies) - len(examined)} packages could not be looked up")
    return lines, well


def main() -> int:
    """Run pip-audit and print the verdict."""
    try:
        done = subprocess.run(
            _COMMAND, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        dependencies = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        dependencies = []
    lines, well = verdict(dependencies)
    print("\n".join(lines) or f"none known for {len(dependencies)} packages")  # noqa: T201
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
