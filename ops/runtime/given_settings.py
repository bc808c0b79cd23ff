"""Collects the texts of the settings from the environment and `.env`, and where each was given."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ops.runtime.dotenv_file import read_dotenv
from ops.runtime.setting_declaration import Declaration

# A local mode that was not meant would keep transactions on this machine.
_CLOUD = ("DATASET_ID", "TOPIC_ID", "SUBSCRIPTION_ID")
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_EMULATORS = ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")


class GivenSettings(NamedTuple):
    """`texts` and `places` are by name; a place is the start of a fault's text."""

    texts: dict[str, str]
    places: dict[str, str]
    faults: list[str]


def read_given(
    declarations: Mapping[str, Declaration], environ: Mapping[str, str], dotenv: Path
) -> GivenSettings:
    """Read both; the environment has precedence. Relative paths in `.env` start at its folder."""
    file = read_dotenv(dotenv, declarations, environ)
    own = {name: environ[name] for name in declarations if name in environ}
    lines = {name: each.line for name, each in file.values.items() if name not in own}
    texts = own | {name: file.values[name].text for name in lines}
    places = {name: f"{dotenv} line {line}: " for name, line in lines.items()}
    faults = [f"{dotenv} {fault}" for fault in file.faults]
    if not faults and not texts.get("PROJECT_ID", "").strip():
        in_file = {name for name in lines if texts[name].strip()}
        in_environment = {name for name in own if texts[name].strip()}
        faults = [
            f"{places.get(name, '')}{name} is set, but PROJECT_ID is not"
            for name in (
                *_unmeant(in_file, (*_CLOUD, _KEY_FILE)),
                *_unmeant(in_environment, _CLOUD),
            )
        ]
    for name, declaration in declarations.items():
        if declaration.is_path and not own.get(name, "").strip():
            text = texts.get(name, "").strip() or declaration.default
            if text:
                texts[name] = str(dotenv.parent / text)
    return GivenSettings(texts, places, faults)


def _unmeant(given: set[str], cloud: tuple[str, ...]) -> list[str]:
    """Return the cloud settings given in one place, unless it has an emulator's address too."""
    return [] if given.intersection(_EMULATORS) else [name for name in cloud if name in given]
