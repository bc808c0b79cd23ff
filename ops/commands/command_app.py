"""What the Typer apps of all commands have in common."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.runtime.terminal import write_error

if TYPE_CHECKING:
    from ops.runtime.settings import Settings


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def command_app(**settings: Any) -> typer.Typer:
    """Return an app for one command: plain help texts, and Python's own tracebacks."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )


def examples(*lines: str) -> str:
    r"""Return the end of a help text. `\b` stops click from joining the lines."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def number_between(least: float, most: float) -> Callable[[str], float]:
    """Return an option's parser: a number from `least` to `most`, never NaN."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise typer.BadParameter(f"{text!r} is not a number from {least:,g} to {most:,g}")
        return value

    return parse


def command_settings() -> "Settings":
    """Load the settings; with wrong ones, print every fault and exit with status 78."""
    from ops.runtime.process import settings_or_exit

    return settings_or_exit()


def agreed(question: str) -> bool:
    """Ask a person; without an answer (Ctrl-C, no terminal) it is no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        write_error("")
        return False
