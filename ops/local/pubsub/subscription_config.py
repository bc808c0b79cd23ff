"""A Subscription's configuration: defaults, limits, updates, and fields that are not served.

https://cloud.google.com/pubsub/docs/reference/rpc/google.pubsub.v1#subscription
"""

from typing import Any

from ops.local.pubsub.delivery_policy import seconds_of
from ops.local.pubsub.request_checks import LEASE_SECONDS, check_between, check_lease
from ops.local.pubsub.status_errors import invalid_argument, unimplemented

_RETENTION_SECONDS = (600, 31 * 86_400)
_BACKOFF_SECONDS = (0, 600)
_UPDATABLE = {
    "ack_deadline_seconds",
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
    "dead_letter_policy",
    "enable_exactly_once_delivery",
    "filter",
    "message_transforms",
    "retain_acked_messages",
)


def complete(config: Any) -> None:
    """Fill in a Subscription's defaults, in place, and check every field."""
    for name in _UNIMPLEMENTED:
        value = getattr(config, name)
        if config.HasField(name) if hasattr(value, "DESCRIPTOR") else value:
            raise unimplemented(name)
    if config.push_config.ListFields():
        raise unimplemented("push_config")
    config.push_config.SetInParent()
    config.ack_deadline_seconds = config.ack_deadline_seconds or LEASE_SECONDS[0]
    check_lease("ack_deadline_seconds", config.ack_deadline_seconds)
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = 7 * 86_400
    retention = config.message_retention_duration.seconds
    check_between("message_retention_duration", retention, _RETENTION_SECONDS)
    if config.HasField("retry_policy"):
        _complete_retry(config.retry_policy)


def _complete_retry(retry: Any) -> None:
    if not retry.HasField("minimum_backoff"):
        retry.minimum_backoff.seconds = 10
    if not retry.HasField("maximum_backoff"):
        retry.maximum_backoff.seconds = 600
    low, high = seconds_of(retry.minimum_backoff), seconds_of(retry.maximum_backoff)
    check_between("minimum_backoff", low, _BACKOFF_SECONDS)
    check_between("maximum_backoff", high, _BACKOFF_SECONDS)
    if low > high:
        raise invalid_argument("The minimum_backoff must not be longer than the maximum_backoff.")


def update(config: Any, change: Any, paths: list[str]) -> None:
    """Copy the named fields of `change` into `config`, and check the result."""
    prefix = "Invalid update_mask provided in the UpdateSubscriptionRequest: "
    if not paths:
        raise invalid_argument(f"{prefix}it must have at least one path.")
    for path in paths:
        if path not in config.DESCRIPTOR.fields_by_name:
            raise invalid_argument(f"{prefix}{path} is not a known Subscription field.")
        if path not in _UPDATABLE:
            raise invalid_argument(f"{prefix}the {path} field in the Subscription is not mutable.")
    copy = type(config)()
    copy.CopyFrom(change)
    for name in config.DESCRIPTOR.fields_by_name:
        (config if name in paths else copy).ClearField(name)
    config.MergeFrom(copy)
    complete(config)
