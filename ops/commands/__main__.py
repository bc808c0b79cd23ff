"""`gatekeeper COMMAND …`: finds the command's module and runs it.

Only the chosen module is imported, so that `gatekeeper status` need not wait for the libraries of
`gatekeeper provision`.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from ops.runtime.process import settings_or_exit

# Command → what it does, as `gatekeeper --help` says it. Its module has the same name.
COMMANDS = {
    "audit": "compare what was accepted with what came of it; run a trial under faults",
    "apikey": "create, list or revoke the keys of those who may send",
    "bench": "measure this machine, or work out the cost of a rate in the cloud",
    "deadletter": "list, show, replay or discard the transactions that were rejected for good",
    "doctor": "check settings, access, resources and this machine; say what mends each",
    "provision": "create the topics, subscriptions, dataset and ledger; safe to run twice",
    "query": "run SQL in the warehouse and print the rows",
    "send": "send a file of transactions, one a line, to the server",
    "status": "show every process, its rate, the backlog and the dead letters",
}

_EPILOG = """examples:
  gatekeeper provision                        before the first start in the cloud
  gatekeeper query "SELECT * FROM orders"     a bare name is a table of DATASET_ID
  gatekeeper status --watch                   keep looking

Settings come from the environment and from .env in the working directory; see .env.example.
`gatekeeper COMMAND --help` says more about one command."""


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:12}{what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="gatekeeper",
        description=f"The operator's tools of Gatekeeper.\n\ncommands:\n{listing}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the above")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when it failed, 2 when it is misused."""
    given = list(sys.argv[1:] if argv is None else argv)
    name = _parser().parse_args(given[:1]).command
    module = importlib.import_module(f"ops.commands.{name}.command")
    parser = argparse.ArgumentParser(
        prog=f"gatekeeper {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    options = parser.parse_args(given[1:])
    settings = settings_or_exit()
    try:
        status: int = module.run(options, settings)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gatekeeper query … | head` has seen enough
        sys.stderr.close()
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
