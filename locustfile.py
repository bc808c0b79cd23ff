"""Load for the gate: inserts, deletes and mixed transactions over several tables.

`locust` opens its page at http://127.0.0.1:8089;
`locust --headless -u 100 -r 50 -t 20s` prints its numbers in the terminal.
Anything but a 200 is a failure, named by the verdict's message.
"""

import itertools
import random
from datetime import UTC, datetime
from typing import Any

from locust import FastHttpUser, constant, task

TABLES = ("load_orders", "load_payments", "load_customers", "load_shipments")
COLUMNS = ["id", "name", "amount", "paid", "updated_at"]
TYPES = ["INTEGER", "TEXT", "DECIMAL(12,2)", "BOOLEAN", "TIMESTAMP"]
# Few enough that deletes meet rows which earlier inserts left.
IDS = 10_000
LONGEST_TRANSACTION = 10


def insert(table: str) -> dict[str, Any]:
    """Return an activity that inserts one row."""
    number = random.randrange(IDS)
    cents = random.randrange(10**9)
    values = [
        number,
        f"name {number}",
        f"{cents // 100}.{cents % 100:02}",
        random.choice((True, False, None)),
        datetime.now(UTC).isoformat(),
    ]
    return {
        "operation": "insert",
        "table": table,
        "col_names": COLUMNS,
        "col_types": TYPES,
        "col_values": values,
    }


def delete(table: str) -> dict[str, Any]:
    """Return an activity that deletes every row of one id."""
    return {
        "operation": "delete",
        "table": table,
        "value_to_delete": {
            "col_names": COLUMNS[:1],
            "col_types": TYPES[:1],
            "col_values": [random.randrange(IDS)],
        },
    }


class Team(FastHttpUser):
    """A backend team that sends one transaction after another."""

    host = "http://127.0.0.1:8080"
    wait_time = constant(0)

    def on_start(self) -> None:
        """See that every table exists before anything is deleted from it."""
        for table in TABLES:
            self._send("insert", [insert(table)])

    @task(6)
    def insert(self) -> None:
        """Insert one row."""
        self._send("insert", [insert(random.choice(TABLES))])

    @task(2)
    def delete(self) -> None:
        """Delete the rows of one id."""
        self._send("delete", [delete(random.choice(TABLES))])

    @task(2)
    def mixed(self) -> None:
        """Insert into and delete from several tables in one transaction.

        The insert comes first: transactions on other tables are under another ordering key, and
        one of them may be the first that this table ever sees.
        """
        chosen = random.choices(TABLES, k=random.randint(1, LONGEST_TRANSACTION // 2))
        pairs = ((insert(table), delete(table)) for table in chosen)
        self._send("mixed", list(itertools.chain.from_iterable(pairs)))

    def _send(self, name: str, activities: list[dict[str, Any]]) -> None:
        with self.client.post(
            "/api/activities", json={"activities": activities}, name=name, catch_response=True
        ) as answer:
            if answer.status_code != 200:  # noqa: PLR2004
                answer.failure(_reason(answer))


def _reason(answer: Any) -> str:
    try:
        verdict = answer.json()
        return f"{answer.status_code} {verdict['message']}"
    except (ValueError, TypeError, KeyError):
        return f"{answer.status_code or 'no answer'} {answer.error or ''}".rstrip()
