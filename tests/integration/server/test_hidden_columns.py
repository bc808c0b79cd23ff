"""Values that a contract hides are in nothing that leaves the request but its own fault."""

import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.runtime.settings import Settings
from schema.contracts import InvalidContracts
from server.app import create_app
from tests.support.contracts import column, contract_text, custom_properties
from tests.support.deliveries import body, delete, insert, text
from tests.support.file_contents import file_contents
from tests.support.server_in_process import FakeTopic, in_process_server

SECRET = "ann@secret.example"  # what must not be seen
COLUMNS = (
    column("id"),
    *(
        column(
            name,
            logicalType="string",
            logicalTypeOptions={"pattern": "secret"},
            classification="restricted",
            customProperties=custom_properties({"transform": transform}),
        )
        for name, transform in (("email", "hash"), ("card", "last4"), ("note", "drop"))
    ),
)
PERSON = body(
    insert(
        "people",
        id=text("1"),
        email=text(SECRET),
        card=text("secret 1234 5678"),
        note=text(f"{SECRET} is 40"),
    )
)
REMOVED = body(delete("people", email=text(SECRET)))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "c").mkdir()
    (tmp_path / "column-key").write_text("c" * 32)
    people = contract_text("people", *COLUMNS, custom={"mode": "freeze"})
    (tmp_path / "c" / "people.yaml").write_text(people)
    return {
        "CONTRACTS_DIR": str(tmp_path / "c"),
        "COLUMN_KEY_FILE": str(tmp_path / "column-key"),
        "STATE_DIR": str(tmp_path / "state"),
    }


def values(activity: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(activity["col_names"], activity["col_values"], strict=True))


async def test_the_message_and_the_verdict_have_the_hidden_values(given: dict[str, str]) -> None:
    topic = FakeTopic()
    async with in_process_server(topic, **given) as server:
        status, verdict = await server.post(PERSON)
        assert status == 200
        assert (await server.post(REMOVED))[0] == 200
        checked = (await server.post(PERSON, "/api/activities/validate"))[1]
        assert checked["payload"] == verdict["payload"]
        ndjson = {"Content-Type": "application/x-ndjson"}
        lines = json.dumps(json.loads(PERSON)).encode() + b"\n"
        url = f"{server.url}/api/activities/batch"
        async with server.client.post(url, data=lines, headers=ndjson) as answer:
            assert (await answer.json())["accepted"] == 1
    message, removed, line = topic.messages
    assert SECRET.encode() not in message.data + removed.data + line.data
    assert json.loads(line.data) == verdict["payload"]
    assert message.attributes["sha256"] == hashlib.sha256(message.data).hexdigest()
    assert json.loads(message.data) == verdict["payload"]
    [applied] = verdict["payload"]["activities"]
    assert set(values(applied)) == {"id", "email", "card"}
    assert values(applied)["card"] == "************5678"
    [matched] = json.loads(removed.data)["activities"]
    assert values(matched["value_to_delete"])["email"] == values(applied)["email"]


async def test_a_repeat_is_a_repeat_and_another_value_is_a_conflict(given: dict[str, str]) -> None:
    topic = FakeTopic()
    async with in_process_server(topic, **given) as server:
        first = await server.post(PERSON, Idempotency_Key="k")
        again = await server.post(PERSON, Idempotency_Key="k")
        assert (first[0], again[0]) == (200, 200)
        assert first[1]["id"] == again[1]["id"]
        other = PERSON.replace(b"ann@", b"bob@")
        assert (await server.post(other, Idempotency_Key="k"))[0] == 409


async def test_no_value_is_in_a_file_or_a_log_whatever_the_verdict(
    given: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = PERSON.replace(b"secret", b"mystery")  # breaks the pattern
    forbidden = body(delete("people", note=text(SECRET)))
    async with in_process_server(FakeTopic(), **given) as server:
        assert (await server.post(PERSON, Idempotency_Key="k"))[0] == 200
        status, verdict = await server.post(wrong)
        assert status == 400
        assert any("mystery" in str(each["got"]) for each in verdict["error"]), "the client's own"
        status, verdict = await server.post(forbidden)
        assert (status, verdict["error"][0]["rule"]) == (400, "contract_transform")
    kept = b"".join(file_contents(tmp_path / "state"))
    out, err = capfd.readouterr()
    assert kept, "the registry and the record of violations are there"
    for secret in ("secret.example", "mystery.example"):
        assert secret.encode() not in kept
        assert secret not in out + err


async def test_without_its_contract_the_same_values_are_published(given: dict[str, str]) -> None:
    topic = FakeTopic()
    (Path(given["CONTRACTS_DIR"]) / "people.yaml").unlink()
    async with in_process_server(topic, **given) as server:
        assert (await server.post(PERSON))[0] == 200
    assert SECRET.encode() in topic.messages[0].data


def test_a_hash_without_its_key_is_refused_with_file_line_and_field(given: dict[str, str]) -> None:
    del given["COLUMN_KEY_FILE"]
    in_the_cloud = replace(Settings.parse(given), local=False)
    with pytest.raises(InvalidContracts, match=r"people\.yaml:\d+: people\.email: .*COLUMN_KEY"):
        create_app(in_the_cloud)


async def test_local_mode_makes_a_key_and_keeps_it(given: dict[str, str], tmp_path: Path) -> None:
    del given["COLUMN_KEY_FILE"]
    topic = FakeTopic()
    for _ in range(2):
        async with in_process_server(topic, **given) as server:
            assert (await server.post(REMOVED))[0] == 200
    first, second = (each.data for each in topic.messages)
    assert first == second, "equal values have equal hashes after a restart"
    assert SECRET.encode() not in first
    assert stat.S_IMODE((tmp_path / "state" / "column-key").stat().st_mode) == 0o600


async def test_a_body_that_grows_too_large_is_refused(given: dict[str, str]) -> None:
    many = body(*(insert("people", email=text("secret")) for _ in range(60)))
    limit = str(len(many) + 100)
    topic = FakeTopic()
    async with in_process_server(topic, **given, MAX_BODY_BYTES=limit) as server:
        status, verdict = await server.post(many)
    assert (status, verdict["error"][0]["rule"]) == (400, "contract_transform")
    assert topic.messages == []
