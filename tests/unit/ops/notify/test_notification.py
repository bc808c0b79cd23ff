import json

from ops.notify import sample
from ops.notify.notification import Notification, cloud_event


def test_the_body_is_a_cloud_event() -> None:
    found = Notification(
        "ntf_1", "https://a.example", "shop", "orders", "type_conflict", "because",
        ("a", "b"), 0.0, 59.5, 40,
    )  # fmt: skip
    assert json.loads(cloud_event(found, "/gatekeeper/p/d")) == {
        "specversion": "1.0",
        "id": "ntf_1",
        "source": "/gatekeeper/p/d",
        "type": "gatekeeper.transactions.rejected",
        "subject": "orders",
        "time": "1970-01-01T00:00:59.500+00:00",
        "datacontenttype": "application/json",
        "data": {
            "source": "shop",
            "table": "orders",
            "reason": "type_conflict",
            "error": "because",
            "count": 40,
            "ids": ["a", "b"],
            "first_rejected_at": "1970-01-01T00:00:00.000+00:00",
            "last_rejected_at": "1970-01-01T00:00:59.500+00:00",
        },
    }


def test_an_event_about_no_table_has_no_subject() -> None:
    one = sample("https://a.example", 0)._replace(table="")
    assert "subject" not in json.loads(cloud_event(one, "/gatekeeper/p/d"))


def test_a_sample_is_marked_as_a_test() -> None:
    event = json.loads(cloud_event(sample("https://a.example", 7), "/gatekeeper/p/d"))
    assert event["type"] == "gatekeeper.notify.test"
    assert "test" in event["data"]["error"]
