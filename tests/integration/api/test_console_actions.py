"""Replay and discard of a rejected transaction over HTTP."""

import json
from collections.abc import Callable
from typing import Any

from schema import new_id
from tests.support.rejected_rows import Reject
from tests.support.server import Server


def act(server: Server, id_: str, action: str) -> tuple[int, dict[str, Any]]:
    status, answer, _ = server.ask(f"/console/rejected/{id_}/{action}", method="POST")
    return status, answer


def open_rows(server: Server, id_: str) -> list[Any]:
    rows: list[Any] = server.ask(f"/console/transactions/{id_}")[1]["open"]
    return rows


def test_a_discarded_one_is_resolved_and_cannot_be_discarded_again(
    server: Server, reject: Reject
) -> None:
    id_ = new_id("t", 2)
    reject(id_)
    assert len(open_rows(server, id_)) == 1
    done = [{"outcome": "discarded", "reason": "table_missing", "detail": ""}]
    assert act(server, id_, "discard") == (200, {"id": id_, "results": done})
    assert open_rows(server, id_) == []
    status, answer = act(server, id_, "discard")
    assert (status, answer["error"][0]["rule"]) == (404, "transaction")
    assert act(server, id_, "replay")[0] == 404


def test_a_replayed_one_is_published_under_its_id_and_resolved(
    server: Server, reject: Reject, pulled: Callable[[str], Any]
) -> None:
    id_ = new_id("t", 2)
    body = json.dumps({"n": 1})
    reject(id_, body=body)
    done = [{"outcome": "replayed", "reason": "table_missing", "detail": ""}]
    assert act(server, id_, "replay") == (200, {"id": id_, "results": done})
    message = pulled(id_)
    assert message.data.decode() == body
    assert message.attributes["source"] == "shop"
    assert message.attributes["copy"] == "possible"
    assert open_rows(server, id_) == []


def test_one_without_a_stored_body_is_refused_with_the_reason(
    server: Server, reject: Reject
) -> None:
    id_ = new_id("t", 2)
    reject(id_, body=None)
    status, answer = act(server, id_, "replay")
    assert status == 200
    assert answer["results"][0]["outcome"] == "refused"
    assert "is not stored" in answer["results"][0]["detail"]
    assert len(open_rows(server, id_)) == 1


def test_other_methods_and_actions_are_no_routes(server: Server) -> None:
    assert server.ask("/console/rejected/a1/replay")[0] == 405
    assert act(server, "a1", "delete")[0] == 404
