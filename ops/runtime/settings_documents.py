"""Writes `.env.example` and the settings table of README.md from the declared settings.

Run `python -m ops.runtime.settings_documents` after a change of ops/runtime/settings.py.
"""

import re
import textwrap
from pathlib import Path

from ops.runtime.setting_declaration import Declaration
from ops.runtime.settings import DECLARATIONS

ROOT = Path(__file__).resolve().parents[2]
_WIDTH = 96
_HEAD = """\
# Settings of Gatekeeper. Copy to .env; the environment has precedence. Local mode needs none of
# them: without PROJECT_ID everything is embedded. A value below is the default where there is one.
# Wrong settings stop every process, with all faults listed.
# Written by `python -m ops.runtime.settings_documents`.
"""
_TABLE = re.compile(r"(?<=\n)\| name \| default \| meaning \|\n(?:\|.*\n)+")


def env_example() -> str:
    return _HEAD + "".join(_assignment(name, each) for name, each in DECLARATIONS.items())


def _assignment(name: str, setting: Declaration) -> str:
    section = f"\n# ---- {setting.section} ----\n" if setting.section else ""
    value = setting.default if setting.default is not None else setting.local_default
    comment = textwrap.fill(
        setting.meaning, _WIDTH, initial_indent="#   ", subsequent_indent="#   "
    )
    return f"{section}{comment}\n# {name}={setting.example or value or ''}\n"


def readme_table() -> str:
    rows = [
        f"| `{name}` | {_default(each)} | {each.meaning} |\n" for name, each in DECLARATIONS.items()
    ]
    return "| name | default | meaning |\n|---|---|---|\n" + "".join(rows)


def _default(setting: Declaration) -> str:
    if setting.default:
        return f"`{setting.default}`"
    return f"`{setting.local_default}` (local)" if setting.local_default else "none"


def with_table(readme: str) -> str:
    """Return README.md with the current table; raises ValueError where it has none."""
    text, count = _TABLE.subn(lambda _: readme_table(), readme)
    if count != 1:
        raise ValueError("README.md has no table of settings")
    return text


def main() -> None:
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text()))
    (ROOT / ".env.example").write_text(env_example())


if __name__ == "__main__":
    main()
