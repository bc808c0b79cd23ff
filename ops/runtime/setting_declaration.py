"""How one setting is declared, and how the declared settings get their values from texts."""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, NamedTuple

import voluptuous as vol

from ops.runtime.setting_rules import existing_file, key_file


class Declaration(NamedTuple):
    """One setting. `meaning` includes the unit; `section` is the heading above it, if any."""

    parse: Callable[[str], Any]
    meaning: str
    default: str | None = None
    """In the cloud, and in local mode where there is no other default."""
    local_default: str | None = None
    """The default in local mode, where it is another."""
    required_in_cloud: bool = False
    example: str = ""
    """What `.env.example` shows where there is no default."""
    section: str = ""

    @property
    def is_path(self) -> bool:
        return self.parse in {Path, existing_file, key_file}


def setting(parse: Callable[[str], Any], meaning: str, **options: Any) -> Any:
    return field(metadata={"declaration": Declaration(parse, meaning, **options)})


def parse_texts(
    declarations: Mapping[str, Declaration],
    texts: Mapping[str, str],
    places: Mapping[str, str],
    *,
    local: bool,
) -> tuple[dict[str, Any], list[str]]:
    """Return the values of all settings without a fault, by field, and the faults of the others.

    `places` has the start of a fault's text by name.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, each in declarations.items():
        default = each.local_default if local and each.local_default else each.default
        text = texts.get(name, default)
        try:
            values[name.lower()] = None if text is None else each.parse(text)
        except vol.Invalid as fault:
            faults.append(f"{places.get(name, '')}{name}={text!r}: expected {fault.msg}")
        if text is None and each.required_in_cloud:
            faults.append(f"{name} is not set: it is needed when PROJECT_ID is")
    return values, faults
