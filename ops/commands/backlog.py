"""How much waits in the subscription: asked of the embedded Pub/Sub, or of Cloud Monitoring."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import grpc
from google.auth.transport.requests import AuthorizedSession
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import StringValue

from ops.runtime import clients
from ops.runtime.settings import Settings

_LOCAL_METHOD = "/gatekeeper.local.v1.Backlog/Get"
_MONITORING = "https://monitoring.googleapis.com/v3/projects/{}/timeSeries"
# https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub
_SIZE = "pubsub.googleapis.com/subscription/num_undelivered_messages"
_AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
# Both are sampled every 60 s and visible up to two minutes later.
_LOOK_BACK = timedelta(minutes=5)


class Backlog(NamedTuple):
    """Messages not acknowledged yet, and the age of the oldest (0 when there are none)."""

    unacked: int
    oldest_age_seconds: float
    note: str = ""

    def __str__(self) -> str:
        oldest = f", the oldest {self.oldest_age_seconds:,.1f} s old" if self.unacked else ""
        return f"{self.unacked:,} transactions{oldest}{self.note}"


def read(settings: Settings, timeout: float) -> Backlog:
    """Return the backlog; raises what grpc, google-auth or requests raise."""
    if settings.pubsub_emulator_host is None:
        return _cloud(settings, timeout)
    return _local(settings, settings.pubsub_emulator_host, timeout)


def _local(settings: Settings, address: str, timeout: float) -> Backlog:
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            _LOCAL_METHOD,
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Struct.FromString,
        )
        try:
            answer = ask(StringValue(value=settings.subscription_path), timeout=timeout)
        except grpc.RpcError as error:
            raise ConnectionError(f"Pub/Sub at {address}: {_details(error)}") from error
    return Backlog(int(answer["unacked"]), float(answer["oldest_age_seconds"]))


def _details(error: grpc.RpcError) -> str:
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "this emulator cannot tell its backlog"
    if code is grpc.StatusCode.UNAVAILABLE:
        return "does not answer"
    return str(error.details() or code.name)


def _cloud(settings: Settings, timeout: float) -> Backlog:
    session = AuthorizedSession(clients.credentials(settings))  # type: ignore[no-untyped-call]
    with session:
        size = _latest(session, settings, _SIZE, timeout)
        age = _latest(session, settings, _AGE, timeout)
    if size is None:
        return Backlog(0, 0.0, " (Cloud Monitoring has no sample of the last five minutes)")
    return Backlog(int(size), float(age or 0.0), " (Cloud Monitoring, up to three minutes late)")


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
    """Return the newest point of a timeSeries.list answer; None when it has none."""
    points = [point for series in answer.get("timeSeries", []) for point in series["points"]]
    if not points:
        return None
    value = max(points, key=lambda point: str(point["interval"]["endTime"]))["value"]
    return float(value.get("int64Value", value.get("doubleValue", 0)))
