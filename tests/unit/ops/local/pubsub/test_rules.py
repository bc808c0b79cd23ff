from typing import Any

import grpc
import pytest
from google.pubsub_v1 import types

from ops.local.pubsub import rules
from ops.local.pubsub.refusals import Refused

TOPIC = "projects/p/topics/topic"
Config = types.Subscription.pb()


@pytest.mark.parametrize("name", ["abc", "a" * 255, "a.b_c~d+e%f-1"])
def test_names_that_pubsub_takes(name: str) -> None:
    rules.check_name(f"projects/p/topics/{name}", "topics")


@pytest.mark.parametrize(
    "path",
    ["abc", "projects/p/topics/ab", "projects/p/topics/1ab", "projects/p/topics/google",
     "projects/p/topics/" + "a" * 256, "projects/p/subscriptions/abc", "projects//topics/abc",
     "projects/p/topics/abc\n"],
)  # fmt: skip
def test_names_that_pubsub_refuses(path: str) -> None:
    with pytest.raises(Refused):
        rules.check_name(path, "topics")


@pytest.mark.parametrize(
    "config",
    [
        {"ack_deadline_seconds": 9},
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 599}},
        {"message_retention_duration": {"seconds": 31 * 86_400 + 1}},
        {"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 4}},
        {"dead_letter_policy": {"dead_letter_topic": TOPIC, "max_delivery_attempts": 101}},
        {"dead_letter_policy": {"dead_letter_topic": "x"}},
        {"retry_policy": {"minimum_backoff": {"seconds": 601}}},
        {"retry_policy": {"maximum_backoff": {"seconds": 1}}},
    ],
)
def test_configurations_out_of_bounds_are_invalid(config: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        rules.complete_subscription(Config(**config))
    assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "config",
    [
        {"filter": "x"},
        {"enable_exactly_once_delivery": True},
        {"push_config": {"push_endpoint": "https://x"}},
        {"bigquery_config": {"table": "t"}},
        {"retain_acked_messages": True},
    ],
)
def test_what_is_not_served_is_unimplemented_and_named(config: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=next(iter(config))) as refused:
        rules.complete_subscription(Config(**config))
    assert refused.value.code == grpc.StatusCode.UNIMPLEMENTED


def test_policies_get_their_documented_defaults() -> None:
    config = Config(dead_letter_policy={"dead_letter_topic": TOPIC}, retry_policy={})
    rules.complete_subscription(config)
    policy = rules.policy_of(config)
    assert (policy.min_backoff, policy.max_backoff, policy.max_failures) == (10, 600, 5)


def test_without_policies_there_is_no_backoff_and_no_dead_letter() -> None:
    config = Config()
    rules.complete_subscription(config)
    policy = rules.policy_of(config)
    assert (policy.backoff(5), policy.max_failures) == (0, 0)


def test_an_update_copies_a_map_and_removes_a_policy() -> None:
    config = Config(labels={"a": "1", "b": "2"}, retry_policy={})
    rules.update_subscription(config, Config(labels={"c": "3"}), ["labels", "retry_policy"])
    assert dict(config.labels) == {"c": "3"}
    assert not config.HasField("retry_policy")
