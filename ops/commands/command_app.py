"""What the Typer apps of all commands have in common."""

from typing import Any

import typer


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
