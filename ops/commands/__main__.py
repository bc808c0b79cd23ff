"""`gatekeeper COMMAND …`: finds the command's module and runs it.

Only the chosen module is imported, so that `gatekeeper status` does not wait for the libraries of
`gatekeeper provision`.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ops.commands.command_app import examples
from ops.commands.failure import CommandFailed, describe_unexpected, discard_output
from ops.runtime.terminal import write_error, write_line


class Command(NamedTuple):
    """A command: the module that has its Typer `app`, and its line in `gatekeeper --help`."""

    module: str
    summary: str


COMMANDS = {
    "apikey": Command("ops.commands.apikey.app", "Create, list or revoke API keys."),
    "audit": Command(
        "ops.trial.app", "Check that no accepted transaction is lost or applied twice."
    ),
    "bench": Command("ops.bench.app", "Measure this machine, or estimate the cost in the cloud."),
    "contract": Command(
        "ops.commands.contract.app", "Check contracts, compare them, show what broke them."
    ),
    "deadletter": Command(
        "ops.commands.deadletter.app", "List, show, replay or discard rejected transactions."
    ),
    "doctor": Command(
        "ops.commands.doctor.app", "Check settings, access and this machine; print fixes."
    ),
    "export": Command(
        "ops.commands.export", "Write the ledger or the rejected transactions as NDJSON."
    ),
    "notify": Command("ops.commands.notify.app", "List or test the webhooks for rejections."),
    "provision": Command(
        "ops.commands.provision.app", "Create topics, subscriptions, dataset and ledger."
    ),
    "query": Command("ops.commands.query", "Run SQL in BigQuery and print the rows."),
    "resume": Command("ops.commands.resume", "Let workers go on that have halted."),
    "rewind": Command("ops.commands.rewind.app", "Have Pub/Sub deliver again what it delivered."),
    "send": Command("ops.commands.send.app", "Send a file of transactions to the server."),
    "spool": Command(
        "ops.commands.spool.app", "List, export or discard what Pub/Sub refused of the spool."
    ),
    "status": Command(
        "ops.commands.status.app", "Show processes, rates, the backlog and dead letters."
    ),
}


class LazyGroup(TyperGroup):
    """Imports a command's module when the command runs, not to list it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None:  # while a shell completes an unknown command
            return name, listed, rest
        return name, get_command(importlib.import_module(COMMANDS[name].module).app), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()  # noqa: TID251  # prints nothing
        except BrokenPipeError:  # the reader has closed the pipe: `gatekeeper query … | head`
            discard_output()
            return 0
        return status


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # Typer passes it so
    if wanted:
        import importlib.metadata

        write_line(f"gatekeeper {importlib.metadata.version('gatekeeper')}")
        raise typer.Exit


def _options(
    *,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Run the operator's tools of Gatekeeper.

    Settings come from the environment and from .env, in the working directory or else next to
    supervisord.conf; see .env.example.
    `gatekeeper COMMAND --help` shows a command's options and examples.
    """


def _listed() -> None:
    """Stand for a command in the list; LazyGroup replaces it."""


app = typer.Typer(
    cls=LazyGroup,
    callback=_options,
    epilog=examples(
        "gatekeeper provision                        before the first start in the cloud",
        'gatekeeper query "SELECT * FROM orders"     a bare name is a table of DATASET_ID',
        "gatekeeper status --watch                   refresh every 5 seconds",
        "gatekeeper --install-completion             complete commands with the Tab key",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.summary)(_listed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when it failed, 2 when it is misused."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return get_command(app)(given, prog_name="gatekeeper", standalone_mode=False) or 0
    except CommandFailed as failure:
        write_error(f"gatekeeper: {failure}", keep="\n")
        return failure.exit_status
    except typer.TyperException as misuse:
        context = getattr(misuse, "ctx", None)
        command = context.command_path if context else "gatekeeper"
        message = " ".join(misuse.format_message().replace("Value error, ", "").split())
        write_error(f"gatekeeper: {message} (`{command} --help` shows the usage)")
        return misuse.exit_code
    except typer.Abort:
        return 130
    except Exception as error:  # noqa: BLE001  # the door: a traceback helps no operator
        write_error(describe_unexpected(error, given))
        return 1


if __name__ == "__main__":
    sys.exit(main())
