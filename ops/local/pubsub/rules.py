"""What Pub/Sub accepts: names, limits and configurations.

Names: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names; limits:
https://cloud.google.com/pubsub/quotas#resource_limits; fields:
https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1.
"""

import re
from typing import Any

import grpc

from ops.local.pubsub.delivery import Policy
from ops.local.pubsub.refusals import Refused, invalid, unimplemented

MAX_REQUEST_BYTES = 10_000_000
_MAX_MESSAGES = 1_000
_MAX_ATTRIBUTES = 100
_MAX_ATTRIBUTE_KEY_BYTES = 256
_MAX_ATTRIBUTE_VALUE_BYTES = 1_024
_MAX_ORDERING_KEY_BYTES = 1_024
_LEASE_SECONDS = (10, 600)
_RETENTION_SECONDS = (600, 31 * 86_400)
_DELIVERY_ATTEMPTS = (5, 100)
_BACKOFF_SECONDS = (0, 600)

_NAME = re.compile(
    r"projects/[^/]+/(?P<kind>topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
)
_UPDATABLE = {
    "ack_deadline_seconds",
    "dead_letter_policy",
    "expiration_policy",
    "labels",
    "message_retention_duration",
    "retry_policy",
}
_UNIMPLEMENTED = (
    "analytics_hub_subscription_info",
    "bigquery_config",
    "bigtable_config",
    "cloud_storage_config",
    "enable_exactly_once_delivery",
    "filter",
    "message_transforms",
    "retain_acked_messages",
)


def check_name(path: str, kind: str) -> None:
    """Refuse what is not `projects/{project}/{kind}/{id}`."""
    match = _NAME.fullmatch(path)
    if match is None or match["kind"] != kind:
        raise invalid(
            f"Invalid resource name given (name={path}). Refer to https://cloud.google.com/"
            "pubsub/docs/pubsub-basics#resource_names for more information."
        )


def _check_at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise invalid(
            f"The value for {name} is too large. You passed {value} in the request, "
            f"but the maximum value is {limit}."
        )


def _check_between(name: str, value: float, limits: tuple[int, int]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise invalid(f"Invalid {name} given: {value:g}. It must be between {low} and {high}.")


def check_lease(name: str, seconds: int) -> None:
    """Refuse a deadline that no lease can have: 10 to 600 seconds."""
    _check_between(name, seconds, _LEASE_SECONDS)


def check_publish(request: Any) -> None:
    """Refuse a PublishRequest that Pub/Sub would refuse."""
    if not request.messages:
        raise invalid("The request contains no messages to publish.")
    _check_at_most("message_count", len(request.messages), _MAX_MESSAGES)
    _check_at_most("request_size", request.ByteSize(), MAX_REQUEST_BYTES)
    first = request.messages[0].ordering_key
    if any(message.ordering_key != first for message in request.messages):
        # The service's own code and words; its documentation names neither.
        raise Refused(
            grpc.StatusCode.FAILED_PRECONDITION,
            "In a single publish request, all messages must have no ordering key or they must all "
            "have the same ordering key.",
        )
    for message in request.messages:
        if not message.data and not message.attributes:
            raise invalid(
                "One or more messages in the publish request is empty. Each message must contain "
                "either non-empty data, or at least one attribute."
            )
        if message.ordering_key:
            size = len(message.ordering_key.encode())
            _check_at_most("ordering_key_size", size, _MAX_ORDERING_KEY_BYTES)
        if message.attributes:
            _check_attributes(message.attributes)


def _check_attributes(attributes: Any) -> None:
    _check_at_most("attribute_count", len(attributes), _MAX_ATTRIBUTES)
    for key, value in attributes.items():
        if not key or key.startswith("goog"):
            raise invalid(f"Invalid attribute key given: {key!r}.")
        _check_at_most("attribute_key_size", len(key.encode()), _MAX_ATTRIBUTE_KEY_BYTES)
        _check_at_most("attribute_value_size", len(value.encode()), _MAX_ATTRIBUTE_VALUE_BYTES)


def complete_subscription(config: Any) -> None:
    """Fill in a Subscription's defaults, in place, and refuse what it may not hold."""
    for name in _UNIMPLEMENTED:
        value = getattr(config, name)
        if config.HasField(name) if hasattr(value, "DESCRIPTOR") else value:
            raise unimplemented(f"The local Pub/Sub server does not implement {name}.")
    if config.push_config.ListFields():
        raise unimplemented("The local Pub/Sub server does not implement push_config.")
    config.push_config.SetInParent()
    config.ack_deadline_seconds = config.ack_deadline_seconds or _LEASE_SECONDS[0]
    check_lease("ack_deadline_seconds", config.ack_deadline_seconds)
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = 7 * 86_400
    retention = config.message_retention_duration.seconds
    _check_between("message_retention_duration", retention, _RETENTION_SECONDS)
    if config.HasField("dead_letter_policy"):
        dead = config.dead_letter_policy
        check_name(dead.dead_letter_topic, "topics")
        dead.max_delivery_attempts = dead.max_delivery_attempts or _DELIVERY_ATTEMPTS[0]
        _check_between("max_delivery_attempts", dead.max_delivery_attempts, _DELIVERY_ATTEMPTS)
    if config.HasField("retry_policy"):
        _complete_retry(config.retry_policy)


def _complete_retry(retry: Any) -> None:
    if not retry.HasField("minimum_backoff"):
        retry.minimum_backoff.seconds = 10
    if not retry.HasField("maximum_backoff"):
        retry.maximum_backoff.seconds = 600
    low, high = _seconds(retry.minimum_backoff), _seconds(retry.maximum_backoff)
    _check_between("minimum_backoff", low, _BACKOFF_SECONDS)
    _check_between("maximum_backoff", high, _BACKOFF_SECONDS)
    if low > high:
        raise invalid("The minimum_backoff must not be longer than the maximum_backoff.")


def update_subscription(config: Any, change: Any, paths: list[str]) -> None:
    """Copy the named fields of `change` into `config`, and check it whole."""
    if not paths:
        raise invalid(
            "The update_mask in the UpdateSubscriptionRequest must be set, and must contain a "
            "non-empty paths list."
        )
    for path in paths:
        if path not in config.DESCRIPTOR.fields_by_name:
            raise invalid(
                "Invalid update_mask provided in the UpdateSubscriptionRequest: "
                f"{path} is not a known Subscription field."
            )
        if path not in _UPDATABLE:
            raise invalid(
                "Invalid update_mask provided in the UpdateSubscriptionRequest: "
                f"the {path} field in the Subscription is not mutable."
            )
        copy_field(config, change, path)
    complete_subscription(config)


def copy_field(config: Any, change: Any, path: str) -> None:
    """Give `config` the field as `change` has it, or none."""
    config.ClearField(path)
    for field, _ in change.ListFields():
        if field.name == path:
            part = type(change)()
            part.CopyFrom(change)
            for other, _ in change.ListFields():
                if other.name != path:
                    part.ClearField(other.name)
            config.MergeFrom(part)


def policy_of(config: Any) -> Policy:
    """Return what a complete Subscription means for delivery."""
    retry = config.retry_policy if config.HasField("retry_policy") else None
    return Policy(
        ordered=config.enable_message_ordering,
        min_backoff=_seconds(retry.minimum_backoff) if retry else 0.0,
        max_backoff=_seconds(retry.maximum_backoff) if retry else 0.0,
        max_failures=config.dead_letter_policy.max_delivery_attempts,
    )


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9
