from collections import Counter

from ops.trial.client_stream import SHARED, SOURCES, STRICT, Step
from ops.trial.load_plan import setup, steps, streams
from ops.trial.request_kinds import KINDS
from schema import InvalidJSON, InvalidSchema, check_body


def _load(transactions: int, seed: int) -> list[Step]:
    return [step for stream in streams(transactions, seed) for step in steps(stream)]


def _accepted(data: bytes) -> bool:
    try:
        check_body(data)
    except (InvalidJSON, InvalidSchema):
        return False
    return True


def test_the_seed_alone_decides_the_load() -> None:
    assert _load(700, 3) == _load(700, 3)
    assert _load(700, 3) != _load(700, 4)


def test_the_load_has_the_wanted_number_of_transactions() -> None:
    for transactions in (1, 7, 700):
        counted = {
            (step.key, place, body)
            for step in _load(transactions, 1)
            for place, body in enumerate(step.bodies)
            if step.valid[place] and not step.repeats
        }
        assert len(counted) == transactions


def test_exactly_the_bodies_marked_as_valid_are_valid() -> None:
    for step in _load(3_000, 5):
        assert tuple(map(_accepted, step.bodies)) == step.valid, step


def test_every_kind_is_sent_by_several_sources_in_many_streams() -> None:
    load = _load(2_000, 2)
    kinds = Counter(step.kind for step in load)
    plain = KINDS.keys() - {"repeat_at_once", "repeat_later", "poison"}
    assert plain <= kinds.keys()
    assert kinds["repeat"]
    assert {step.source for step in load} == set(SOURCES)
    assert len({step.stream for step in load}) >= 20


def test_no_stream_uses_the_rows_or_tables_of_another() -> None:
    owners: dict[str, set[str]] = {}
    rows: set[tuple[str, str | None, str | None]] = set()
    for step in _load(2_000, 6):
        for body in step.bodies:
            if not _accepted(body):
                continue
            for activity in check_body(body).activities:
                values = dict(zip(activity.names, activity.values, strict=True))
                match = activity.match
                key = dict(zip(match.names, match.values, strict=True)) if match else values
                assert key["stream"] == step.stream
                assert activity.operation != "update" or not {"stream", "n"} & values.keys()
                owners.setdefault(activity.table, set()).add(step.stream)
                name = (activity.table, step.stream, values.get("n"))
                if activity.operation == "insert" and not step.repeats:
                    assert name not in rows
                    rows.add(name)
    shared = {table for table, streams_ in owners.items() if len(streams_) > 1}
    assert shared <= {*SHARED, STRICT}


def test_a_stream_over_several_tables_sends_an_ordering_key() -> None:
    for step in _load(2_000, 7):
        tables = {
            activity.table
            for body in step.bodies
            if _accepted(body)
            for activity in check_body(body).activities
        }
        assert step.ordering_key == step.stream or tables <= {f"own_{step.stream}"}


def test_the_shared_tables_are_made_with_all_their_columns() -> None:
    made = [check_body(step.bodies[0]).activities[0] for step in setup(1)]
    assert [each.table for each in made] == list(SHARED)
    assert {len(each.names) for each in made} == {7}
