"""The same requests to both Pushgateways, the real one and our own."""

import http.client
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)

from ops.local.pushgateway.__main__ import BINARIES
from ops.rig import Service, free_port, wait_until

HISTOGRAM = (
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
    '# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 2\ns_count 2\nbare 5\n'
)


PANICS = "1.11.0"
"""Debian 13's version closes the connection where it should refuse a push."""


class PushgatewayClient:
    """A running Pushgateway and the few requests that the tests make."""

    def __init__(self, address: str) -> None:
        self.address = address

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://{self.address}{path}",
            method=method,
            data=None if body is None else body.encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def refused(self, path: str, body: str) -> str:
        """Push what contradicts itself or another group, and return why it is refused."""
        try:
            status, text = self.request("PUT", path, body)
        except http.client.RemoteDisconnected:
            if self.version != PANICS:
                raise
            pytest.skip(f"Pushgateway {PANICS} panics: prometheus/pushgateway issue 766")
        assert status == 400
        return text

    @property
    def version(self) -> str:
        """The real Pushgateway's; ours has none."""
        found = re.search(r'[{,]version="(.*?)"', "".join(self.lines("pushgateway_build_info{")))
        return found[1] if found else ""

    def lines(self, name: str) -> list[str]:
        _, text = self.request("GET", "/metrics")
        return [line for line in text.splitlines() if line.startswith(name)]


def service(kind: str, address: str, state: Path) -> Service:
    real = next(filter(None, map(shutil.which, BINARIES)), None)
    if kind == "real" and real is None:
        pytest.skip("no pushgateway or prometheus-pushgateway on PATH")
    path = str(Path(real).parent) if kind == "real" and real else "/nonexistent"
    return Service(
        [sys.executable, "-m", "ops.local.pushgateway"],
        environ={"PATH": path, "STATE_DIR": str(state), "PUSHGATEWAY_PROMETHEUS_HOST": address},
    )


@pytest.fixture(scope="module", params=["ours", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def gateway(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushgatewayClient]:
    address = f"127.0.0.1:{free_port()}"
    with service(kind, address, tmp_path_factory.mktemp("state")) as running:
        running.wait_for_port(address)
        yield PushgatewayClient(address)


def registry(value: float) -> CollectorRegistry:
    metrics = CollectorRegistry()
    Gauge("pushed_gauge", "A gauge.", ["l"], registry=metrics).labels('q"u\\o\nx').set(value)
    Counter("pushed_count", "A counter.", registry=metrics).inc(value)
    Histogram("pushed_seconds", "A histogram.", buckets=[1, 2], registry=metrics).observe(1.5)
    return metrics


def test_a_client_pushes_adds_and_deletes_its_group(gateway: PushgatewayClient) -> None:
    key = {"instance": "server_00"}
    push_to_gateway(gateway.address, job="clients", registry=registry(3), grouping_key=key)
    labels = 'instance="server_00",job="clients"'
    assert gateway.lines("pushed_count_total") == [f"pushed_count_total{{{labels}}} 3"]
    assert gateway.lines("pushed_gauge") == [f'pushed_gauge{{{labels},l="q\\"u\\\\o\\nx"}} 3']
    assert gateway.lines("pushed_seconds_bucket") == [
        f'pushed_seconds_bucket{{{labels},le="1"}} 0',
        f'pushed_seconds_bucket{{{labels},le="2"}} 1',
        f'pushed_seconds_bucket{{{labels},le="+Inf"}} 1',
    ]
    only = CollectorRegistry()
    Gauge("pushed_gauge", "A gauge.", ["l"], registry=only).labels("x").set(1)
    pushadd_to_gateway(gateway.address, job="clients", registry=only, grouping_key=key)
    assert gateway.lines("pushed_gauge") == [f'pushed_gauge{{{labels},l="x"}} 1']
    assert gateway.lines("pushed_count_total") != []
    push_to_gateway(gateway.address, job="clients", registry=only, grouping_key=key)
    assert gateway.lines("pushed_count_total") == []
    delete_from_gateway(gateway.address, job="clients", grouping_key=key)
    wait_until(lambda: gateway.lines("pushed_") == [])
    assert f"push_time_seconds{{{labels}}}" not in str(gateway.lines("push_time_seconds"))


def test_groups_of_different_keys_are_independent(gateway: PushgatewayClient) -> None:
    for instance, value in (("b", 2), ("a", 1)):
        answer = gateway.request("PUT", f"/metrics/job/side/instance/{instance}", f"side {value}\n")
        assert answer == (200, "")
    assert gateway.lines("side") == [
        'side{instance="a",job="side"} 1',
        'side{instance="b",job="side"} 2',
    ]
    assert gateway.request("DELETE", "/metrics/job/side/instance/a") == (202, "")
    wait_until(lambda: gateway.lines("side") == ['side{instance="b",job="side"} 2'])
    assert gateway.request("DELETE", "/metrics/job/side") == (202, ""), "another key"
    assert gateway.lines("side") != []


def test_the_grouping_key_overrides_labels_of_the_same_name(gateway: PushgatewayClient) -> None:
    gateway.request("PUT", "/metrics/job/own", 'own{job="mine",instance="mine",x="1"} 1\n')
    assert gateway.lines("own{") == ['own{instance="mine",job="own",x="1"} 1']


def test_every_type_is_exposed_as_it_came(gateway: PushgatewayClient) -> None:
    assert gateway.request("PUT", "/metrics/job/types/instance/i", HISTOGRAM)[0] == 200
    labels = 'instance="i",job="types"'
    _, text = gateway.request("GET", "/metrics")
    assert f'h_bucket{{{labels},le="1"}} 1\nh_bucket{{{labels},le="+Inf"}} 2\n' in text
    assert f"h_sum{{{labels}}} 3\nh_count{{{labels}}} 2\n" in text
    assert f'# TYPE s summary\ns{{{labels},quantile="0.5"}} 1\n' in text
    assert f"# TYPE bare untyped\nbare{{{labels}}} 5\n" in text


def test_the_times_of_success_and_failure_are_the_groups_own(gateway: PushgatewayClient) -> None:
    path = "/metrics/job/timed/instance/i"
    gateway.request("PUT", path, "# TYPE timed counter\ntimed 1\npush_time_seconds 1\n")
    pushed = dict(line.split() for line in gateway.lines("push_time_seconds{"))
    failed = dict(line.split() for line in gateway.lines("push_failure_time_seconds{"))
    labels = '{instance="i",job="timed"}'
    assert float(pushed["push_time_seconds" + labels]) > 1.7e9
    assert float(failed["push_failure_time_seconds" + labels]) == 0


def test_a_type_that_contradicts_another_group_is_refused_and_remembered(
    gateway: PushgatewayClient,
) -> None:
    gateway.request("PUT", "/metrics/job/first", "# TYPE clash counter\nclash 1\n")
    text = gateway.refused("/metrics/job/second", "# TYPE clash gauge\nclash 2\n")
    assert "invalid or inconsistent with existing metrics" in text
    assert gateway.lines("clash") == ['clash{instance="",job="first"} 1']
    failed = dict(line.split() for line in gateway.lines("push_failure_time_seconds{"))
    assert float(failed['push_failure_time_seconds{instance="",job="second"}']) > 1.7e9
    pushed = dict(line.split() for line in gateway.lines("push_time_seconds{"))
    assert float(pushed['push_time_seconds{instance="",job="second"}']) == 0


@pytest.mark.parametrize(
    "body",
    [
        "garbage {{{\n",
        "no_newline 1",
        "stamped 1 1234\n",
        "twice 1\ntwice 2\n",
        "word many\n",
        "# TYPE strange thing\nstrange 1\n",
        'same{a="1",a="2"} 1\n',
    ],
)
def test_an_invalid_body_is_refused(gateway: PushgatewayClient, body: str) -> None:
    assert gateway.refused("/metrics/job/nonsense", body)


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("/metrics/job@base64/YS9i/path@base64/L3Zhci90bXA", 'job="a/b",path="/var/tmp"'),
        ("/metrics/job/empty/e@base64/=", 'e="",instance="",job="empty"'),
        ("/metrics/job/per%20cent/x/%C3%A9", 'job="per cent",x="é"'),
        ("/metrics/job/last/instance/a/instance/b", 'instance="b",job="last"'),
        ("/metrics/job/outer/job/inner", 'job="outer"'),
    ],
)
def test_the_path_is_the_grouping_key(gateway: PushgatewayClient, path: str, labels: str) -> None:
    assert gateway.request("PUT", path, "keyed 1\n") == (200, "")
    (line,) = gateway.lines("keyed")
    assert all(pair in line for pair in labels.split(",")), line
    assert gateway.request("DELETE", path) == (202, "")
    wait_until(
        lambda: gateway.lines("keyed") == [], what="a deletion is answered before it is done"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/metrics/job/x/instance",
        "/metrics/job/x/in-st/y",
        "/metrics/job/x/__name__/y",
        "/metrics/job@base64/****",
    ],
)
def test_a_path_that_names_no_group_is_refused(gateway: PushgatewayClient, path: str) -> None:
    status, text = gateway.request("PUT", path, "x 1\n")
    assert status == 400
    assert text


def test_an_empty_push_makes_an_empty_group(gateway: PushgatewayClient) -> None:
    assert gateway.request("PUT", "/metrics/job/hollow", "") == (200, "")
    assert any('job="hollow"' in line for line in gateway.lines("push_time_seconds{"))


def test_it_is_healthy_and_ready(gateway: PushgatewayClient) -> None:
    assert gateway.request("GET", "/-/healthy") == (200, "OK")
    assert gateway.request("GET", "/-/ready") == (200, "OK")
    assert gateway.request("GET", "/nowhere")[0] == 404
    assert gateway.request("GET", "/metrics/job/x")[0] == 405


def test_groups_outlive_a_restart(kind: str, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    running = service(kind, address, tmp_path)
    gateway = PushgatewayClient(address)
    with running:
        running.wait_for_port(address)
        gateway.request("PUT", "/metrics/job/kept/instance/i", "# HELP kept K.\nkept NaN\n")
        assert running.stop() == 0
        running.start()
        running.wait_for_port(address)
        kept = wait_until(lambda: gateway.lines("kept"), what="the group is back")
        assert kept == ['kept{instance="i",job="kept"} NaN']
