from typing import Any

import grpc
import pytest
from google.pubsub_v1 import types

from ops.local.pubsub import subscription_config
from ops.local.pubsub.status_errors import StatusError

Config = types.Subscription.pb()


@pytest.mark.parametrize(
    "config",
    [
        {"ack_deadline_seconds": 9},
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 599}},
        {"message_retention_duration": {"seconds": 31 * 86_400 + 1}},
        {"retry_policy": {"minimum_backoff": {"seconds": 601}}},
        {"retry_policy": {"maximum_backoff": {"seconds": 1}}},
    ],
)
def test_configurations_out_of_bounds_are_invalid(config: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as error:
        subscription_config.complete(Config(**config))
    assert error.value.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "config",
    [
        {"filter": "x"},
        {"dead_letter_policy": {"dead_letter_topic": "projects/p/topics/topic"}},
        {"enable_exactly_once_delivery": True},
        {"push_config": {"push_endpoint": "https://x"}},
        {"bigquery_config": {"table": "t"}},
        {"retain_acked_messages": True},
    ],
)
def test_what_is_not_served_is_unimplemented_and_named(config: dict[str, Any]) -> None:
    with pytest.raises(StatusError, match=next(iter(config))) as error:
        subscription_config.complete(Config(**config))
    assert error.value.code == grpc.StatusCode.UNIMPLEMENTED


def test_an_update_copies_a_map_and_removes_a_policy() -> None:
    config = Config(labels={"a": "1", "b": "2"}, retry_policy={})
    subscription_config.update(config, Config(labels={"c": "3"}), ["labels", "retry_policy"])
    assert dict(config.labels) == {"c": "3"}
    assert not config.HasField("retry_policy")
