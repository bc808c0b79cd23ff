from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from ops.runtime.settings import Settings
from server.http.local_access import guard, is_own_host
from server.http.refusal import FORBIDDEN, Refusal

ORIGIN = "https://console.example.com"


async def ask(headers: Mapping[str, str], **settings: str) -> str:
    """Return the rule that refuses a request with these headers, or `passed`."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    request = make_mocked_request("POST", "/", headers={"Host": "127.0.0.1:8080", **headers})
    try:
        await guard(Settings.parse(settings))(request, handler)
    except Refusal as refused:
        return refused.faults[0].rule if refused.kind == FORBIDDEN else refused.kind.message
    return "passed"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "gate.localhost:8080",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]:8080",
        "gate.internal:8080",
    ],
)
def test_loopback_names_and_the_servers_own_are_its_hosts(host: str) -> None:
    assert is_own_host(host, "gate.internal")


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8080",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "[::1",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "evil.example#@127.0.0.1",
        "evil.example/127.0.0.1",
        "localhost:x",
        "localhost/.evil.example",
        "[localhost",
        "::1",
    ],
)
def test_other_hosts_are_foreign(host: str) -> None:
    assert not is_own_host(host, "gate.internal")


@given(st.text(max_size=30), st.sampled_from(["", "localhost", "127.0.0.1", "[::1]:80"]))
def test_no_host_is_an_error_and_no_public_name_is_the_servers_own(text: str, end: str) -> None:
    is_own_host(text + end, "gate.internal")
    assert not is_own_host(f"{text}{end}.example", "gate.internal")


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, "passed"),
        ({"Sec-Fetch-Site": "none"}, "passed"),
        ({"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, "passed"),
        ({"Host": "Localhost:8080", "Origin": "http://localhost:8080"}, "passed"),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, "passed"),
        ({"Host": "rebind.evil.example:8080"}, "host"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin"),
        ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, "origin"),
        ({"Origin": "http://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"Origin": ""}, "origin"),
    ],
)
async def test_only_the_servers_own_pages_and_those_of_the_setting_pass(
    headers: Mapping[str, str], outcome: str
) -> None:
    assert await ask(headers, CORS_ORIGINS=ORIGIN) == outcome


async def test_any_origin_passes_where_the_setting_says_so() -> None:
    assert await ask({"Origin": "http://a.example"}, CORS_ORIGINS="*") == "passed"


async def test_with_anonymous_access_any_host_passes_and_a_foreign_origin_does_not() -> None:
    assert await ask({"Host": "gate.internal"}, ALLOW_ANONYMOUS="1") == "passed"
    assert await ask({"Origin": "http://a.example"}, ALLOW_ANONYMOUS="1") == "origin"
