"""`gatekeeper contract`."""

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from ops.commands.command_app import command_app, examples

Format = Annotated[Literal["text", "json"], Option("--format", help="How to print.")]

app = command_app(
    help="""Compare contracts of tables.

    A contract is a YAML file in the Open Data Contract Standard v3.1: docs/contracts.md.""",
    epilog=examples(
        "gatekeeper contract diff old/orders.yaml contracts/orders.yaml",
        "gatekeeper contract diff --fail-on breaking main/contracts contracts",
    ),
)


@app.callback()
def _group() -> None:
    """Keep `diff` a command of its own while it is the only one."""


@app.command()
def diff(
    old: Path = Argument(metavar="OLD", help="A contract file, or a folder of them."),
    new: Path = Argument(metavar="NEW", help="Its new version."),
    *,
    fail_on: Literal["breaking", "never"] = Option(
        "never", "--fail-on", help="Exit with 1 if a change is breaking."
    ),
    output: Format = "text",
) -> int:
    """List what has changed, and whether it is breaking or compatible.

    A change is breaking if the new contract may refuse a transaction that kept to the old one, or
    if readers of the table lose something. A breaking change needs a new major version.
    """
    from ops.commands.contract.diff_report import print_diff

    is_breaking = print_diff(old, new, as_json=output == "json")
    return 1 if is_breaking and fail_on == "breaking" else 0
