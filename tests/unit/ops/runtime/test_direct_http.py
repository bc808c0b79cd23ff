import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.runtime import direct_http
from ops.runtime.clients import emulated_warehouse

PROXY_NAMES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"rows": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Authorization", self.headers.get("Authorization", ""))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set every proxy to a port where nothing listens."""
    for name in PROXY_NAMES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")


def test_a_proxy_of_the_environment_is_not_used(address: str) -> None:
    with direct_http.open_url(f"http://{address}/", 5) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("token", ["a-token", None])
def test_the_bigquery_client_uses_no_proxy_and_sends_the_token(
    address: str, token: str | None
) -> None:
    with emulated_warehouse("a-project", address, token) as client:
        answer = client._http.get(f"http://{address}/")
    assert answer.headers["X-Authorization"] == (f"Bearer {token}" if token else "")
