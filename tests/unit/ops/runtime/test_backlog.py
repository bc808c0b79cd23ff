import pytest

from ops.rig import free_port
from ops.runtime.backlog import SubscriptionBacklog, late_seconds, newest, read
from ops.runtime.settings import Settings


def test_the_newest_point_counts() -> None:
    answer = {
        "timeSeries": [
            {
                "points": [
                    {"interval": {"endTime": "2026-01-01T00:02:00Z"}, "value": {"int64Value": "7"}},
                    {"interval": {"endTime": "2026-01-01T00:01:00Z"}, "value": {"int64Value": "9"}},
                ]
            }
        ]
    }
    assert newest(answer) == 7


def test_no_sample_is_not_zero() -> None:
    assert newest({}) is None


def test_an_empty_backlog_has_no_oldest() -> None:
    assert str(SubscriptionBacklog(0, 0.0)) == "0 transactions"
    assert str(SubscriptionBacklog(1200, 3.04)) == "1,200 transactions, the oldest 3.0 s old"


def test_an_embedded_pubsub_that_is_away_is_named() -> None:
    address = f"127.0.0.1:{free_port()}"
    settings = Settings.parse({"PUBSUB_EMULATOR_HOST": address})
    with pytest.raises(ConnectionError, match=f"Pub/Sub at {address}: does not answer"):
        read(settings, 3)


def test_cloud_monitoring_is_late_and_the_embedded_pubsub_is_not() -> None:
    cloud = {"PROJECT_ID": "a-project", "DATASET_ID": "d", "TOPIC_ID": "top"}
    assert late_seconds(Settings.parse({**cloud, "SUBSCRIPTION_ID": "sub"})) == 180
    assert late_seconds(Settings.parse({})) == 0
