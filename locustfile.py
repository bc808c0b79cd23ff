"""Load for Gatekeeper: every operation, and mixed transactions, over several tables.

`locust` opens its page at http://127.0.0.1:8089.
`locust --headless -u 100 -r 50 -t 20s` prints its numbers in the terminal.
`gatekeeper bench locust` runs it with 1,000 users against a disposable fleet.
Any answer except 200 is a failure, named by the verdict's message.
"""

from typing import Any

from locust import FastHttpUser, constant, task

from ops.fleet.config import FleetConfig
from ops.rig.transaction_mix import TABLES, WEIGHTS, TransactionMix


class Team(FastHttpUser):
    """A backend team that sends one transaction after another, without a pause."""

    host = f"http://{FleetConfig.read().reachable}"
    wait_time = constant(0)
    mix = TransactionMix()

    def on_start(self) -> None:
        """Insert a row into every table, so that no delete or update misses its table."""
        for table in TABLES:
            self._send("insert", {"activities": [self.mix.insert(table)]})

    @task(WEIGHTS["inserted"])
    def insert(self) -> None:
        self._send("insert", self.mix.inserted())

    @task(WEIGHTS["deleted"])
    def delete(self) -> None:
        self._send("delete", self.mix.deleted())

    @task(WEIGHTS["updated"])
    def update(self) -> None:
        self._send("update", self.mix.updated())

    @task(WEIGHTS["upserted"])
    def upsert(self) -> None:
        self._send("upsert", self.mix.upserted())

    @task(WEIGHTS["mixed"])
    def mixed(self) -> None:
        self._send("mixed", self.mix.mixed())

    def _send(self, name: str, transaction: dict[str, Any]) -> None:
        with self.client.post(
            "/api/activities", json=transaction, name=name, catch_response=True
        ) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                answer.failure(_reason(answer))


def _reason(answer: Any) -> str:
    try:
        verdict = answer.json()
        return f"{answer.status_code} {verdict['message']}"
    except (ValueError, TypeError, KeyError):
        return f"{answer.status_code or 'no answer'} {answer.error or ''}".rstrip()
