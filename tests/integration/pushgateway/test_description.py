"""The stand-in's JSON page, in the form that the real one's has."""

from aiohttp.test_utils import TestClient, TestServer

from ops.local.pushgateway.app import create_app
from ops.local.pushgateway.groups import Groups

BODY = (
    "# HELP h H.\n# TYPE h histogram\n"
    'h_bucket{x="1",le="1"} 1\nh_bucket{x="1",le="+Inf"} 2\nh_sum{x="1"} 3\nh_count{x="1"} 2\n'
    "# TYPE c counter\nc 4\n"
)


async def test_every_group_is_described() -> None:
    app = create_app(Groups(clock=lambda: 1_000_000.0))
    async with TestClient(TestServer(app)) as client:
        assert (await client.put("/metrics/job/j/instance/i", data=BODY)).status == 200
        answer = await (await client.get("/api/v1/metrics")).json()
    assert answer["status"] == "success"
    (group,) = answer["data"]
    assert group["labels"] == {"instance": "i", "job": "j"}
    assert group["last_push_successful"] is True
    assert group["push_time_seconds"]["metrics"][0]["value"] == "1000000"
    assert group["c"]["type"] == "COUNTER"
    assert group["c"]["metrics"] == [{"labels": {"instance": "i", "job": "j"}, "value": "4"}]
    assert group["h"]["metrics"] == [
        {
            "labels": {"instance": "i", "job": "j", "x": "1"},
            "buckets": {"1": "1", "+Inf": "2"},
            "sum": "3",
            "count": "2",
        }
    ]
