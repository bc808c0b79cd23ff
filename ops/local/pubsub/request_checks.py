"""The names and requests that Pub/Sub accepts.

Names: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names; limits:
https://cloud.google.com/pubsub/quotas#resource_limits.
"""

import re
from typing import Any

import grpc

from ops.local.pubsub.status_errors import StatusError, invalid_argument

MAX_REQUEST_BYTES = 10_000_000
_MAX_MESSAGES = 1_000
_MAX_ATTRIBUTES = 100
_MAX_ATTRIBUTE_KEY_BYTES = 256
_MAX_ATTRIBUTE_VALUE_BYTES = 1_024
_MAX_ORDERING_KEY_BYTES = 1_024
LEASE_SECONDS = (10, 600)

_NAME = re.compile(
    r"projects/[^/]+/(?P<kind>topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
)


def check_name(path: str, kind: str) -> None:
    """Raise INVALID_ARGUMENT for any other form than `projects/{project}/{kind}/{id}`."""
    match = _NAME.fullmatch(path)
    if match is None or match["kind"] != kind:
        raise invalid_argument(
            f"Invalid resource name given (name={path}). Refer to https://cloud.google.com/"
            "pubsub/docs/pubsub-basics#resource_names for more information."
        )


def _check_at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise invalid_argument(
            f"The value for {name} is too large. You passed {value} in the request, "
            f"but the maximum value is {limit}."
        )


def check_between(name: str, value: float, limits: tuple[int, int]) -> None:
    low, high = limits
    if not low <= value <= high:
        raise invalid_argument(
            f"Invalid {name} given: {value:g}. It must be between {low} and {high}."
        )


def check_lease(name: str, seconds: int) -> None:
    """Raise INVALID_ARGUMENT for a lease shorter than 10 or longer than 600 seconds."""
    check_between(name, seconds, LEASE_SECONDS)


def check_publish(request: Any) -> None:
    """Raise the error that Pub/Sub would give for this PublishRequest."""
    if not request.messages:
        raise invalid_argument("The request contains no messages to publish.")
    _check_at_most("message_count", len(request.messages), _MAX_MESSAGES)
    _check_at_most("request_size", request.ByteSize(), MAX_REQUEST_BYTES)
    first = request.messages[0].ordering_key
    if any(message.ordering_key != first for message in request.messages):
        # The service's own code and text; its documentation has neither.
        raise StatusError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "In a single publish request, all messages must have no ordering key or they must all "
            "have the same ordering key.",
        )
    for message in request.messages:
        if not message.data and not message.attributes:
            raise invalid_argument(
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
            raise invalid_argument(f"Invalid attribute key given: {key!r}.")
        _check_at_most("attribute_key_size", len(key.encode()), _MAX_ATTRIBUTE_KEY_BYTES)
        _check_at_most("attribute_value_size", len(value.encode()), _MAX_ATTRIBUTE_VALUE_BYTES)
