"""Load for the gate: inserts, deletes and mixed transactions over several tables.

`locust` opens its page at http://127.0.0.1:8089;
`locust --headless -u 100 -r 50 -t 20s` prints its numbers in the terminal;
`gatekeeper bench locust` runs it with 1,000 users against a fleet of its own.
Anything but a 200 is a failure, named by the verdict's message.
"""

from typing import Any

from locust import FastHttpUser, constant, task

from ops.rig.transaction_mix import TABLES, WEIGHTS, TransactionMix


class Team(FastHttpUser):
    """A backend team that sends one transaction after another."""

    host = "http://127.0.0.1:8080"
    wait_time = constant(0)
    mix = TransactionMix()

    def on_start(self) -> None:
        """See that every table exists before anything is deleted from it."""
        for table in TABLES:
            self._send("insert", {"activities": [self.mix.insert(table)]})

    @task(WEIGHTS["inserted"])
    def insert(self) -> None:
        """Insert one row."""
        self._send("insert", self.mix.inserted())

    @task(WEIGHTS["deleted"])
    def delete(self) -> None:
        """Delete the rows of one id."""
        self._send("delete", self.mix.deleted())

    @task(WEIGHTS["mixed"])
    def mixed(self) -> None:
        """Insert into and delete from several tables in one transaction."""
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
