import re
from typing import Any

import hcl2
import pytest

from ops.commands.provision import subscriptions
from ops.fleet.config import ROOT
from ops.runtime.settings import Settings

FOLDER = ROOT / "ops" / "deploy" / "terraform"
SETTINGS = Settings.parse({})


def load(kind: str) -> list[dict[str, Any]]:
    """Return the blocks of a kind of all files."""
    blocks: list[dict[str, Any]] = []
    for file in sorted(FOLDER.glob("*.tf")):
        with file.open() as opened:
            blocks += hcl2.load(opened).get(kind, [])
    return blocks


def bare(text: Any) -> str:
    """Return a string of HCL without its quotes."""
    return str(text).strip('"')


def resource(kind: str, name: str) -> dict[str, Any]:
    for block in load("resource"):
        for found, named in block.items():
            if bare(found) == kind:
                for key, body in named.items():
                    if bare(key) == name:
                        return dict(body)
    raise AssertionError(f"no resource {kind} {name}")


DEFAULTS = {
    bare(name): body.get("default") for each in load("variable") for name, body in each.items()
}


def value(text: Any) -> Any:
    """Return an attribute's value, with the variables' defaults in it."""
    found = bare(text)
    for name, default in DEFAULTS.items():
        found = found.replace(f"${{var.{name}}}", bare(default))
    return found.replace(
        "${var.retention_days * 86400}", str(int(DEFAULTS["retention_days"]) * 86_400)
    )


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("workers", subscriptions.workers_subscription(SETTINGS)),
        ("dead_letter", subscriptions.dead_letter_subscription(SETTINGS)),
    ],
)
def test_the_subscriptions_are_those_of_gatekeeper_provision(name: str, wanted: Any) -> None:
    found = resource("google_pubsub_subscription", name)
    assert value(found["name"]) == wanted.name.rpartition("/")[2]
    assert int(value(found["ack_deadline_seconds"])) == wanted.ack_deadline_seconds
    assert bool(found.get("enable_message_ordering", False)) == wanted.enable_message_ordering
    seconds = wanted.message_retention_duration.total_seconds()
    assert value(found["message_retention_duration"]) == f"{seconds:.0f}s"
    (expiry,) = found["expiration_policy"]
    assert bare(expiry["ttl"]) == "", "it never expires"
    assert "dead_letter_policy" not in found


def test_the_workers_retry_as_with_gatekeeper_provision() -> None:
    (retry,) = resource("google_pubsub_subscription", "workers")["retry_policy"]
    assert bare(retry["minimum_backoff"]) == f"{subscriptions.RETRY_FIRST_SECONDS}s"
    assert bare(retry["maximum_backoff"]) == f"{subscriptions.RETRY_LONGEST_SECONDS}s"


def test_the_defaults_are_those_of_the_settings() -> None:
    assert bare(DEFAULTS["topic_id"]) == SETTINGS.topic_id
    assert bare(DEFAULTS["dataset_id"]) == SETTINGS.dataset_id
    assert int(DEFAULTS["lease_seconds"]) == SETTINGS.lease_seconds


def test_every_variable_is_used_and_every_used_one_declared() -> None:
    text = "".join(file.read_text() for file in FOLDER.glob("*.tf"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(DEFAULTS)


def test_alerts_lead_to_sections_of_the_runbook() -> None:
    sections = {
        line.removeprefix("## ").lower()
        for line in (ROOT / "docs" / "runbook.md").read_text().splitlines()
        if line.startswith("## ")
    }
    anchors = set(re.findall(r"runbook\.md#(\w+)", (FOLDER / "alerts.tf").read_text()))
    assert anchors
    assert anchors <= sections
