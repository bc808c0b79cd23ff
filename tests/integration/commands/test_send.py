import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ops.commands.__main__ import main
from ops.fleet.config_copy import write_copy
from ops.rig import free_port
from tests.support.stream import insert, transaction

Serve = Callable[[web.Application], Awaitable[TestServer]]


class FaultyServer:
    """The ingest route, with faults that a test asks for."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}  # by idempotency key: the first is what counts
        self.order: list[tuple[str, int]] = []  # table and n, as accepted
        self.orderings: set[str | None] = set()
        self.requests = self.now = self.most_parallel = 0
        self.trouble: Counter[int] = Counter()  # n → how many times it is answered 503
        self.cut: set[int] = set()  # n: accepted, but the first answer is lost
        self.api_key: str | None = None

    async def accept(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.now += 1
        self.most_parallel = max(self.most_parallel, self.now)
        try:
            return await self._accept(request)
        finally:
            self.now -= 1

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.api_key and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return self._verdict(401, "Unauthorized", [{"rule": "api_key"}])
        try:
            activity = json.loads(body)["activities"][0]
            table, n = activity["table"], activity["col_values"][0]
        except (ValueError, KeyError, TypeError):
            return self._verdict(400, "Invalid Schema", [{"pointer": "", "rule": "r"}])
        if self.trouble[n] > 0:
            self.trouble[n] -= 1
            return self._verdict(
                503, "Unavailable", [{"rule": "unavailable"}], {"Retry-After": "0"}
            )
        await asyncio.sleep(0.001)
        key = request.headers["Idempotency-Key"]
        if key not in self.bodies:
            self.bodies[key] = body
            self.order.append((table, n))
        self.orderings.add(request.headers.get("Ordering-Key"))
        if n in self.cut:
            self.cut.discard(n)
            assert request.transport
            request.transport.close()
        return self._verdict(200, "Valid Schema", None)

    def _verdict(
        self, status: int, message: str, error: Any, headers: dict[str, str] | None = None
    ) -> web.Response:
        verdict = {"status": status, "message": message, "error": error, "id": None}
        return web.json_response({**verdict, "payload": None}, status=status, headers=headers)


@pytest.fixture
def gate() -> FaultyServer:
    return FaultyServer()


@pytest.fixture
async def url(gate: FaultyServer, aiohttp_server: Serve) -> str:
    app = web.Application()
    app.router.add_post("/api/activities", gate.accept)
    return str((await aiohttp_server(app)).make_url("/"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.ndjson"


def write(file: Path, *lines: object) -> None:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("".join(f"{text}\n" for text in texts))


def numbered(count: int, tables: int = 1) -> list[dict[str, Any]]:
    return [transaction(insert(f"t{n % tables}", n=n)) for n in range(count)]


async def send(*words: object) -> int:
    return await asyncio.to_thread(main, ["send", *map(str, words)])


async def test_every_line_is_sent_and_counted(
    gate: FaultyServer, url: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *numbered(200, tables=5))
    assert await send(file, "--url", url) == 0
    assert len(gate.bodies) == 200
    assert gate.most_parallel > 1
    assert "200" in capsys.readouterr().out
    assert not file.with_name("orders.ndjson.rejected.ndjson").exists()


async def test_lines_of_one_table_keep_their_order_during_retries(
    gate: FaultyServer, url: str, file: Path
) -> None:
    write(file, *numbered(90, tables=3))
    gate.trouble.update({0: 2, 10: 1, 44: 1, 45: 1})
    gate.cut |= {1, 30, 77}
    assert await send(file, "--url", url) == 0
    for table in range(3):
        mine = [n for name, n in gate.order if name == f"t{table}"]
        assert mine == list(range(table, 90, 3))


async def test_an_ordering_key_keeps_the_order_of_all_lines(
    gate: FaultyServer, url: str, file: Path
) -> None:
    write(file, *numbered(40, tables=4))
    gate.trouble.update({3: 1, 20: 2})
    assert await send(file, "--url", url, "--ordering-key", "import") == 0
    assert [n for _, n in gate.order] == list(range(40))
    assert gate.orderings == {"import"}
    assert gate.most_parallel == 1


async def test_a_repeated_run_changes_nothing_and_another_file_is_new(
    gate: FaultyServer, url: str, file: Path
) -> None:
    write(file, *numbered(10))
    assert await send(file, "--url", url) == 0
    assert await send(file, "--url", url) == 0
    assert (gate.requests, len(gate.bodies)) == (20, 10)
    write(file, *numbered(11))
    assert await send(file, "--url", url) == 0
    assert len(gate.bodies) == 21


async def test_a_named_run_knows_its_lines_by_number(
    gate: FaultyServer, url: str, file: Path
) -> None:
    write(file, *numbered(10))
    assert await send(file, "--url", url, "--run", "r") == 0
    write(file, *numbered(11))
    assert await send(file, "--url", url, "--run", "r") == 0
    assert len(gate.bodies) == 11


async def test_rejected_lines_are_kept_with_their_verdict_and_hold_up_nothing(
    gate: FaultyServer, url: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = numbered(2)
    write(file, first, "not json", second, {"activities": 1e400})
    kept = tmp_path / "kept.ndjson"
    assert await send(file, "--url", url, "--rejected", kept) == 1
    assert str(kept) in capsys.readouterr().out
    assert [n for _, n in gate.order] == [0, 1]
    records = [json.loads(line) for line in kept.read_text().splitlines()]
    found = {record["line"]: record for record in records}
    assert sorted(found) == [2, 4]
    assert found[2]["body"] == "not json"
    assert found[2]["status"] == 400
    assert found[2]["error"] == [{"pointer": "", "rule": "r"}]
    write(file, first, second)
    assert await send(file, "--url", url, "--rejected", kept) == 0
    assert not kept.exists()


async def test_a_line_that_cannot_be_sent_stops_the_run_and_nothing_of_its_key_passes_it(
    gate: FaultyServer, url: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *numbered(100))
    gate.trouble[50] = 1_000_000
    assert await send(file, "--url", url, "--patience", "0.3") == 1
    printed = capsys.readouterr().err
    assert "stopped: line 51: the server answers 503" in printed
    assert [n for _, n in gate.order] == list(range(50))
    gate.trouble.clear()
    assert await send(file, "--url", url) == 0
    assert [n for _, n in gate.order] == list(range(100))


async def test_a_key_is_sent_and_a_wrong_one_stops_the_run(
    gate: FaultyServer,
    url: str,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate.api_key = "sesame"
    write(file, *numbered(3))
    assert await send(file, "--url", url) == 1
    assert "GATEKEEPER_API_KEY" in capsys.readouterr().err
    key = file.with_name("key")
    key.write_text("sesame\n")
    assert await send(file, "--url", url, "--key-file", key) == 0
    monkeypatch.setenv("GATEKEEPER_API_KEY", "sesame")
    assert await send(file, "--url", url) == 0
    captured = capsys.readouterr()
    assert "sesame" not in captured.out + captured.err


async def test_an_unreachable_server_is_reported(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *numbered(3))
    nobody = f"http://127.0.0.1:{free_port()}"
    assert await send(file, "--url", nobody, "--patience", "0.2") == 1
    assert "stopped: line 1: Cannot connect" in capsys.readouterr().err


async def test_another_server_than_gatekeeper_is_reported(
    file: Path, aiohttp_server: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *numbered(3))
    url = str((await aiohttp_server(web.Application())).make_url("/"))
    assert await send(file, "--url", url) == 1
    assert "404, and no verdict: is this Gatekeeper?" in capsys.readouterr().err


PIPES = [
    'cat "$FILE" | gatekeeper send -',
    'gatekeeper send - < "$FILE"',
    'cat "$FILE" | gatekeeper send /dev/stdin',
    'gatekeeper send /dev/stdin < "$FILE"',
    'gatekeeper send <(cat "$FILE")',
    'mkfifo fifo; (cat "$FILE" > fifo &); gatekeeper send fifo',
]


@pytest.mark.parametrize("command", PIPES)
async def test_what_is_no_file_on_a_disk_is_sent_as_one_is(
    command: str, gate: FaultyServer, url: str, file: Path, tmp_path: Path
) -> None:
    write(file, *numbered(20, tables=3), "not json")
    here = tmp_path / "here"
    here.mkdir()
    environ = {
        **os.environ,
        "FILE": str(file),
        "URL": url,
        "PATH": str(Path(sys.executable).parent),
    }
    environ["PATH"] += os.pathsep + os.environ["PATH"]
    words = ["bash", "-c", f'{command} --url "$URL"']
    done = await asyncio.to_thread(
        subprocess.run, words, cwd=here, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert len(gate.bodies) == 20
    kept = here / "stdin.rejected.ndjson"
    assert json.loads(kept.read_text())["body"] == "not json"
    assert await send(file, "--url", url) == 1
    assert len(gate.bodies) == 20, "a run is named for its content, wherever that is from"


@pytest.mark.parametrize("content", [[], ["", " ", "\r"]])
async def test_nothing_sent_is_not_success(
    content: list[str], url: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *content)
    earlier = file.with_name("orders.ndjson.rejected.ndjson")
    earlier.write_text("of another run\n")
    assert await send(file, "--url", url) == 1
    assert f"nothing was sent: {file} has no transactions" in capsys.readouterr().err
    assert earlier.exists()


async def test_what_cannot_be_written_is_known_before_the_first_line_is_sent(
    gate: FaultyServer, url: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, *numbered(3))
    for kept in (tmp_path / "nowhere" / "r.ndjson", tmp_path, file):
        assert await send(file, "--url", url, "--rejected", kept) == 1
        assert "rejected" in capsys.readouterr().err
    assert gate.requests == 0
    assert await send(file, "--url", url) == 0
    assert len(gate.bodies) == 3, "the file itself is as it was"


async def test_a_disk_that_becomes_full_stops_the_run_in_one_line(
    url: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, "not json")
    assert await send(file, "--url", url, "--rejected", "/dev/full") == 1
    assert "stopped: [Errno 28] No space left on device; run" in capsys.readouterr().err


async def test_rejected_lines_of_an_earlier_run_stay_until_there_are_others(
    gate: FaultyServer, url: str, file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.ndjson"
    kept.write_text("of an earlier run\n")
    write(file, *numbered(3), "not json")
    gate.trouble[0] = 1_000_000
    nobody = f"http://127.0.0.1:{free_port()}"
    assert await send(file, "--url", nobody, "--rejected", kept, "--patience", "0.1") == 1
    assert kept.read_text() == "of an earlier run\n"
    gate.trouble.clear()
    assert await send(file, "--url", url, "--rejected", kept) == 1
    assert json.loads(kept.read_text())["body"] == "not json"


async def test_without_an_address_the_fleets_own_is_used(
    gate: FaultyServer,
    url: str,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conf = tmp_path / "supervisord.conf"
    write_copy(conf, run_folder=tmp_path, address=url.removeprefix("http://").rstrip("/"))
    monkeypatch.setenv("SUPERVISORD_CONF", str(conf))
    monkeypatch.chdir("/")
    write(file, *numbered(3))
    assert await send(file) == 0
    assert len(gate.bodies) == 3
