from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.local.bigquery.access import refusal

P = "/bigquery/v2/projects/p"
DATASETS = f"{P}/datasets"


def ask(method: str, path: str, host: str = "127.0.0.1:9050", **headers: str) -> str | None:
    pairs = [("host", host), *((name.replace("_", "-"), text) for name, text in headers.items())]
    scope: dict[str, Any] = {
        "method": method,
        "path": path,
        "headers": [(name.encode(), text.encode()) for name, text in pairs],
    }
    return refusal(scope, "the-token", "bigquery.internal")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9050", "localhost:9050", "LOCALHOST", "[::1]:9050", "10.1.2.3", "bigquery.internal",
     "x.localhost:9050", "localhost.:9050"],
)  # fmt: skip
def test_loopback_names_addresses_and_the_own_name_are_answered(host: str) -> None:
    assert ask("POST", f"{P}/queries", host) is None


@pytest.mark.parametrize(
    "host", ["rebind.evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9050", "",
             "1.2.3.4.5", "[::1].evil.example", "evil.example:127.0.0.1"],
)  # fmt: skip
def test_a_foreign_host_is_refused(host: str) -> None:
    assert ask("GET", f"{P}/datasets", host)


def test_no_host_and_two_hosts_are_refused() -> None:
    for hosts in ([], [(b"host", b"localhost"), (b"host", b"localhost")]):
        assert refusal({"method": "GET", "path": "/", "headers": hosts}, "t", "localhost")


@given(st.from_regex(r"[a-z]{1,9}(\.[a-z]{2,9}){1,3}", fullmatch=True))
def test_every_other_name_is_refused(name: str) -> None:
    assert name.endswith(".localhost") or name == "bigquery.internal" or ask("GET", "/", name)


def test_a_page_of_another_site_is_refused() -> None:
    assert ask("POST", f"{P}/queries", origin="https://evil.example")
    assert ask("POST", f"{P}/queries", origin="null")
    assert ask("POST", f"{P}/queries", origin="http://127.0.0.1:3000")
    assert ask("GET", f"{P}/queries/job", sec_fetch_site="cross-site")
    assert ask("GET", f"{P}/queries/job", sec_fetch_site="same-site")
    assert ask("POST", f"{P}/queries", origin="http://127.0.0.1:9050") is None
    assert ask("GET", "/healthz", sec_fetch_site="none") is None


OPEN = [
    ("POST", f"{P}/queries"),
    ("POST", f"{P}/jobs"),
    ("POST", DATASETS),
    ("POST", f"{DATASETS}/d/tables"),
    ("GET", f"{DATASETS}/d/tables/t"),
    ("GET", "/healthz"),
    ("HEAD", "/"),
]
NEEDS_TOKEN = [
    ("DELETE", f"{DATASETS}/d"),
    ("DELETE", f"{DATASETS}/d/tables/t"),
    ("PATCH", f"{DATASETS}/d/tables/t"),
    ("PUT", f"{DATASETS}/d/tables/t"),
    ("POST", f"{DATASETS}/d/tables/t/insertAll"),
    ("POST", f"{P}/jobs/j/cancel"),
    ("DELETE", f"{P}/jobs/j/delete"),
    ("POST", f"/upload{P}/jobs"),
    ("POST", f"{DATASETS}/d/routines"),
    ("POST", f"{P}/queries/x"),
]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_sql_reads_and_creations_need_no_token(method: str, path: str) -> None:
    assert ask(method, path) is None
    assert ask(method, path, authorization="Bearer another") is None


@pytest.mark.parametrize(("method", "path"), NEEDS_TOKEN)
def test_other_changes_need_the_token(method: str, path: str) -> None:
    assert ask(method, path)
    assert ask(method, path, authorization="Bearer another")
    assert ask(method, path, authorization="the-token")
    assert ask(method, path, authorization="Bearer the-token") is None


def test_without_a_token_nobody_has_it() -> None:
    scope = {"method": "DELETE", "path": "/", "headers": [(b"host", b"localhost"),
             (b"authorization", b"Bearer ")]}  # fmt: skip
    assert refusal(scope, None, "localhost")
