"""Reads the subscription's backlog from the embedded Pub/Sub or from Cloud Monitoring."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import grpc
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

from ops.runtime import clients, credentials
from ops.runtime.settings import Settings

_LOCAL_METHOD = "/gatekeeper.local.v1.Backlog/Get"
_MONITORING = "https://monitoring.googleapis.com/v3/projects/{}/timeSeries"
# https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub
_SIZE = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
# Both are sampled every 60 s and visible up to two minutes later.
_LATE_SECONDS = 180.0
_LOOK_BACK = timedelta(minutes=5)


class NoSample(LookupError):
    """Cloud Monitoring has no sample of the last five minutes: the backlog is unknown."""

    def __str__(self) -> str:
        return str(self.__doc__)


class SubscriptionBacklog(NamedTuple):
    """Messages not acknowledged yet, and the age of the oldest (0 if there are none)."""

    unacked: int
    oldest_age_seconds: float
    note: str = ""

    def __str__(self) -> str:
        oldest = f", the oldest {self.oldest_age_seconds:,.1f} s old" if self.unacked else ""
        return f"{self.unacked:,} transactions{oldest}{self.note}"


def read(settings: Settings, timeout: float) -> SubscriptionBacklog:
    """Return the backlog.

    Raises `ConnectionError` if the embedded Pub/Sub does not return it; in the cloud `NoSample`,
    and the errors of google-auth and requests.
    """
    if settings.pubsub_emulator_host is None:
        return _cloud(settings, timeout)
    return _local(settings, settings.pubsub_emulator_host, timeout)


def late_seconds(settings: Settings) -> float:
    """Return the largest age of an answer of `read`."""
    return _LATE_SECONDS if settings.pubsub_emulator_host is None else 0.0


def _local(settings: Settings, address: str, timeout: float) -> SubscriptionBacklog:
    with grpc.insecure_channel(address, [clients.NO_PROXY]) as channel:
        ask = channel.unary_unary(
            _LOCAL_METHOD,
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Struct.FromString,
        )
        try:
            answer = ask(StringValue(value=settings.subscription_path), timeout=timeout)
        except grpc.RpcError as error:
            raise ConnectionError(f"Pub/Sub at {address}: {_details(error)}") from error
    return SubscriptionBacklog(int(answer["unacked"]), float(answer["oldest_age_seconds"]))


def _details(error: grpc.RpcError) -> str:
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "this emulator does not report its backlog"
    if code is grpc.StatusCode.UNAVAILABLE:
        return "does not answer"
    return str(error.details() or code.name)


@functools.cache
def _credentials(settings: Settings) -> Credentials:
    """Return credentials that keep their token, which is valid for an hour."""
    return credentials.find(settings)


def _cloud(settings: Settings, timeout: float) -> SubscriptionBacklog:
    with AuthorizedSession(_credentials(settings)) as session:
        size = _latest(session, settings, _SIZE, timeout)
        age = _latest(session, settings, _AGE, timeout)
    if size is None or (size and age is None):
        raise NoSample
    return SubscriptionBacklog(
        int(size), age or 0.0, " (Cloud Monitoring, up to three minutes late)"
    )


def _latest(
    session: AuthorizedSession, settings: Settings, metric: str, timeout: float
) -> float | None:
    now = datetime.now(UTC)
    answer = session.get(
        _MONITORING.format(settings.project_id),
        params={
            "filter": f'metric.type="{metric}" AND '
            f'resource.labels.subscription_id="{settings.subscription_id}"',
            "interval.startTime": (now - _LOOK_BACK).isoformat(),
            "interval.endTime": now.isoformat(),
        },
        timeout=timeout,
    )
    answer.raise_for_status()
    return newest(answer.json())


def newest(answer: dict[str, Any]) -> float | None:
    """Return the newest point of a timeSeries.list answer, or None."""
    points = [point for series in answer.get("timeSeries", []) for point in series["points"]]
    if not points:
        return None
    value = max(points, key=lambda point: str(point["interval"]["endTime"]))["value"]
    return float(value.get("int64Value", value.get("doubleValue", 0)))
