from typing import Any

import pytest
from google.pubsub_v1 import DeadLetterPolicy, PushConfig, Subscription

from ops.commands.failure import CommandFailed
from ops.commands.provision.subscriptions import (
    check_fixed_fields,
    dead_letter_subscription,
    outdated,
    workers_subscription,
)
from ops.runtime.settings import Settings

SETTINGS = Settings.parse({"LEASE_SECONDS": "30"})


def test_workers_share_an_ordered_subscription_with_the_lease_as_its_deadline() -> None:
    wanted = workers_subscription(SETTINGS)
    assert wanted.enable_message_ordering
    assert wanted.ack_deadline_seconds == 30
    assert "expiration_policy" in wanted, "set and empty: it never expires"
    assert not wanted.expiration_policy.ttl


def test_pub_sub_itself_never_dead_letters_behind_the_ledgers_back() -> None:
    assert "dead_letter_policy" not in workers_subscription(SETTINGS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"enable_message_ordering": False}, "ordering off.*delete"),
        ({"topic": "projects/gatekeeper-local/topics/other"}, "topics/other"),
        ({"filter": 'attributes.source = "a"'}, "filter"),
        ({"push_config": PushConfig(push_endpoint="https://there")}, "--push-endpoint="),
        (
            {"dead_letter_policy": DeadLetterPolicy(dead_letter_topic="projects/p/topics/t")},
            "--clear-dead-letter-policy",
        ),
    ],
)
def test_what_cannot_be_changed_is_an_error_with_its_remedy(
    wrong: dict[str, Any], message: str
) -> None:
    wanted = workers_subscription(SETTINGS)
    found = Subscription(wanted)
    for name, value in wrong.items():
        setattr(found, name, value)
    with pytest.raises(CommandFailed, match=message):
        check_fixed_fields(found, wanted)


def test_what_is_as_wanted_is_left_alone() -> None:
    for wanted in (workers_subscription(SETTINGS), dead_letter_subscription(SETTINGS)):
        check_fixed_fields(Subscription(wanted), wanted)
        assert outdated(Subscription(wanted), wanted) == []


def test_another_deadline_and_backoff_are_brought_up_to_date() -> None:
    wanted = workers_subscription(SETTINGS)
    found = Subscription(wanted)
    found.ack_deadline_seconds = 10
    found.retry_policy = None  # type: ignore[assignment]  # proto-plus clears the field
    assert outdated(found, wanted) == ["ack_deadline_seconds", "retry_policy"]


def test_a_dead_letter_subscription_with_ordering_is_left_alone() -> None:
    wanted = dead_letter_subscription(SETTINGS)
    found = Subscription(wanted)
    found.enable_message_ordering = True
    check_fixed_fields(found, wanted)
    assert outdated(found, wanted) == []
