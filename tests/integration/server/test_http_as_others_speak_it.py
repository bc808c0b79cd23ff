"""HTTP as load balancers, proxies, exports and command-line tools speak it."""

import gzip
import json
from pathlib import Path

import pytest

from ops.rig.processes import eventually
from ops.runtime.api_keys import mint
from server.api import ROUTES
from tests.support.server_in_process import VALID, FakeTopic, InProcessServer, in_process_server

BATCH = "/api/activities/batch"
HEAD = b"POST /api/activities/validate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/openapi.json", "/nowhere"])
async def test_head_is_get_without_a_body(server: InProcessServer, path: str) -> None:
    async with server.client.get(server.url + path) as got:
        await got.read()
    async with server.client.head(server.url + path) as headed:
        assert await headed.read() == b""
    assert headed.status == got.status
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert headed.headers.get(name) == got.headers.get(name)


async def test_every_get_route_takes_head_and_a_post_route_refuses_it(
    server: InProcessServer,
) -> None:
    for route in ROUTES:
        path = route.path.replace("{id}", "abc")
        async with server.client.head(server.url + path) as answer:
            assert (answer.status == 405) == (route.method != "GET")


async def test_gzip_members_are_one_body(server: InProcessServer) -> None:
    parts = (VALID[:30], b"", VALID[30:])
    body = b"".join(map(gzip.compress, parts))
    status, _ = await server.post(body, Content_Encoding="gzip")
    assert status == 200
    assert server.topic.messages[0].data == VALID

    lines = VALID + b"\n" + VALID + b"\n"
    for cut in (len(VALID) + 1, 70):
        body = gzip.compress(lines[:cut]) + gzip.compress(lines[cut:])
        headers = {**NDJSON, "Content-Encoding": "gzip"}
        async with server.client.post(server.url + BATCH, data=body, headers=headers) as answer:
            counts = json.loads(await answer.read())
        assert (counts["accepted"], counts["rejected"]) == (2, 0)


async def test_a_file_that_begins_with_a_byte_order_mark_is_accepted(
    server: InProcessServer,
) -> None:
    body = b"\xef\xbb\xbf" + b"\n".join([VALID] * 3)
    async with server.client.post(server.url + BATCH, data=body, headers=NDJSON) as answer:
        assert json.loads(await answer.read())["accepted"] == 3
    assert {message.data for message in server.topic.messages} == {VALID}


@pytest.mark.parametrize(
    "coding",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked, chunked",
    ],
)
async def test_a_transfer_coding_that_nothing_decodes_is_refused(
    server: InProcessServer, coding: bytes
) -> None:
    head = HEAD + b"Content-Type: application/json\r\n" + coding + b"\r\n\r\n"
    answer = await server.raw(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(VALID), VALID))
    assert answer.split(b" ")[1] == b"400"
    assert b'"rule": "http"' in answer
    assert answer.count(b"HTTP/1.") == 1


async def test_chunks_are_accepted(server: InProcessServer) -> None:
    head = HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: Chunked\r\n\r\n"
    answer = await server.raw(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(VALID), VALID))
    assert answer.startswith(b"HTTP/1.1 200")


async def test_the_requests_id_is_answered_or_a_new_one(server: InProcessServer) -> None:
    made = set()
    for given in ("abc-1", "", "x" * 129, "a b", "é"):
        headers = {"X-Request-Id": given.encode().decode("latin-1")}
        for path in ("/healthz", "/nowhere", "/"):
            async with server.client.get(server.url + path, headers=headers) as answer:
                name = answer.headers["X-Request-Id"]
            if given == "abc-1":
                assert name == given
            else:
                assert len(name) == 32
                made.add(name)
    assert len(made) == 12
    async with server.client.post(server.url + BATCH, data=b"{}", headers=NDJSON) as answer:
        assert len(answer.headers.getall("X-Request-Id")) == 1
    assert b"X-Request-Id: " in await server.raw(b"no HTTP\r\n\r\n")


async def test_an_idle_connection_is_closed_after_the_settings_time(
    topic: FakeTopic,
) -> None:
    async with in_process_server(topic, KEEP_ALIVE_SECONDS="1") as server:
        got = await server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200")  # and then it was closed


async def test_past_its_rate_a_key_gets_429_and_other_keys_do_not(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    slow, kept = mint("slow", "2026-01-01T00:00:00+00:00", rate=0.1, burst=3)
    other, free = mint("other", "2026-01-01T00:00:00+00:00")
    file.write_text(kept.line() + free.line())
    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        answers = [await server.post(VALID, Authorization=f"Bearer {slow}") for _ in range(4)]
        assert [status for status, _ in answers] == [200, 200, 200, 429]
        assert answers[-1][1]["message"] == "Too Many Requests"
        assert answers[-1][1]["error"][0]["rule"] == "rate"
        headers = {"Authorization": f"Bearer {slow}", **NDJSON}
        async with server.client.post(server.url + BATCH, data=VALID, headers=headers) as answer:
            assert (answer.status, int(answer.headers["Retry-After"]) > 1) == (429, True)
        for _ in range(20):
            assert (await server.post(VALID, Authorization=f"Bearer {other}"))[0] == 200
        assert (await server.get("/healthz"))[0] == 200


async def test_the_lines_of_a_batch_count_and_none_overtakes_one_that_was_refused(
    topic: FakeTopic, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    text, kept = mint("slow", "2026-01-01T00:00:00+00:00", rate=0.01, burst=5)
    file.write_text(kept.line())
    async with in_process_server(topic, API_KEYS_FILE=str(file)) as server:
        headers = {"Authorization": f"Bearer {text}", **NDJSON}
        body = b"\n".join([VALID] * 8)
        async with server.client.post(server.url + BATCH, data=body, headers=headers) as answer:
            results = json.loads(await answer.read())["results"]
    assert [each["status"] for each in results] == [200] * 4 + [429] + [503] * 3
    assert len(topic.messages) == 4


async def test_blank_lines_are_bounded_and_leave_the_loop_its_turns(topic: FakeTopic) -> None:
    blank = gzip.compress(b"\n" * 20_000_000)
    spaces = gzip.compress(b" \r\n" * 7_000_000)
    async with in_process_server(topic, NDJSON_MAX_BYTES="10000000") as server:
        for body in (blank, spaces):
            headers = {**NDJSON, "Content-Encoding": "gzip"}
            async with server.client.post(server.url + BATCH, data=body, headers=headers) as answer:
                verdict = json.loads(await answer.read())
            assert (answer.status, verdict["message"]) == (413, "Payload Too Large")
            assert "lines" in verdict["error"][0]["message"]
    async with in_process_server(
        topic, NDJSON_MAX_BYTES="10000000", NDJSON_MAX_LINES="100000000"
    ) as server:
        headers = {**NDJSON, "Content-Encoding": "gzip"}
        async with server.client.post(server.url + BATCH, data=blank, headers=headers) as answer:
            verdict = json.loads(await answer.read())
        assert "bytes" in verdict["error"][0]["message"]
        await eventually(lambda: server.in_flight.count == 0)
