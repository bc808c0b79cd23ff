"""`gatekeeper doctor`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from typer import Option

from ops.commands.command_app import Json, command_app, command_settings, examples, number_between
from ops.runtime.terminal import write_json

if TYPE_CHECKING:
    from ops.commands.doctor.check_result import CheckResult

_COLOURS = {"ok": "green", "wrong": "bold red", "skipped": "dim"}

_SECONDS = 2.0

app = command_app()


@app.command(
    epilog=examples(
        "gatekeeper doctor",
        "gatekeeper doctor --json",
        "gatekeeper doctor --seconds 10          for a slow network",
        "gatekeeper doctor --try                 statements on scratch tables; costs some cents",
    )
)
def doctor(
    *,
    as_json: Json = False,
    seconds: float | None = Option(
        None,
        metavar="S",
        parser=number_between(0.1, 3_600),
        help="How long to wait for each service (2), or statement (60).",
    ),
    try_: bool = Option(False, "--try", help="Try doubtful statements on scratch tables instead."),
) -> int:
    """Check everything that the fleet needs, and print a fix for each problem.

    Checks the settings, credentials, topics, subscriptions, dataset, ledger, permissions, the
    Pushgateway, the disk, the clock and the API keys, in parallel. Each check has a time limit, so
    the command ends in a few seconds even if a service hangs. It changes nothing. The exit status
    is 1 if there is a problem.

    With --try it runs, on scratch tables of the dataset, the statements whose effect BigQuery's
    documentation leaves open, and prints the effect of each: a failed fence in a transaction, two
    transactions on one head, bytes billed and plans, JSON numbers, a dropped column, a job's
    location. It removes the tables. The dataset must exist.
    """
    settings = command_settings()
    if try_:
        from ops.commands.doctor.doubtful_statements import STATEMENT_SECONDS, try_statements

        results = try_statements(settings, seconds or STATEMENT_SECONDS)
    else:
        import asyncio

        from ops.commands.doctor.examination import examine

        results = asyncio.run(examine(settings, seconds or _SECONDS))
    healthy = all(each.state != "wrong" for each in results)
    if as_json:
        document = {"well": healthy, "checks": [asdict(each) for each in results]}
        write_json(document)
    else:
        _print(results)
    return 0 if healthy else 1


def _print(results: list["CheckResult"]) -> None:
    from ops.commands.console import PlainConsole, styled

    console = PlainConsole(soft_wrap=True)
    for each in results:
        state = styled(f"{each.state:8}", _COLOURS[each.state])
        console.print(state, f"{each.check:25}", styled(each.detail))
        if each.remedy:
            console.print(styled(f"{'':8} {'':25} → {each.remedy}", "yellow"))
