"""Updates and upserts on the embedded warehouse leave what the model leaves."""

from typing import Any

from ops.trial import readback
from ops.trial.model import Model
from tests.integration.workers.conftest import Local, a_while
from tests.integration.workers.test_warehouse import EVERY_TYPE
from tests.support.deliveries import body, delete, delivery, insert, number, text, update, upsert
from workers.decode import decode

LANE = 9
DIGITS = ("DECIMAL(38,20)", "0.12345678901234567891")


async def _settle_and_compare(local: Local, batches: list[list[dict[str, Any]]]) -> None:
    """Settle a transaction for each list, and compare outcome and rows each time."""
    model, committer = Model(), local.committer()
    name = batches[0][0]["table"]
    for number_, activities in enumerate(batches):
        data, id_ = body(*activities), f"{name}-{number_}"
        expected = model.apply(id_, data)
        (outcome,) = await committer.settle(LANE, [decode(delivery(data, id=id_))], a_while)
        assert (outcome.rejection and outcome.rejection.reason) == expected
        table = model.tables[name]
        path = f"{local.settings.dataset_path}.{name}"
        assert readback.counted(local.client, path, table.columns) == table.counted()


async def test_keyed_changes_set_some_columns_of_some_rows(local: Local, name: str) -> None:
    await _settle_and_compare(
        local,
        [
            [upsert(name, "a", a=number(1), b=text("x"), w=DIGITS)],
            [
                upsert(name, "a", a=number(1), b=text("y")),
                upsert(name, "a", a=number(2), b=text(None), j=("JSON", {"a": 1})),
            ],
            # A row is deleted, one updated, one upserted, one inserted: all kinds in one MERGE.
            [
                insert(name, a=number(3), b=text("new")),
                delete(name, a=number(1)),
                update(name, {"a": number(2)}, b=text("set"), w=("DECIMAL(38,20)", "1")),
                upsert(name, "a", a=number(9), c=number(7)),
            ],
            [
                update(name, {"a": number(None)}, b=text("none yet")),
                insert(name, b=text("null")),
                update(name, {"a": number(None)}, c=number(5)),
                delete(name, a=number(77)),
            ],
            [
                update(name, {"a": number(None)}, w=DIGITS),
                update(name, {"a": number(9)}, j=("JSON", [1])),
                update(name, {"a": number(3)}, a=number(33)),
            ],
            # Phases: the second matches on what the first sets.
            [
                update(name, {"a": number(33)}, b=text("first")),
                update(name, {"b": text("first")}, c=number(6)),
                upsert(name, "w", w=DIGITS, b=text("third")),
            ],
            [
                update(name, {"a": number(2)}, b=text("")),
                update("no_table", {"a": number(1)}, **_A),
            ],
            [update(name, {"missing": number(2)}, b=text(""))],
        ],
    )


_A = {"a": number(1)}


async def test_every_type_is_set_and_matched_on(local: Local, name: str) -> None:
    columns = {column: (kind, values[-1]) for column, (kind, values) in EVERY_TYPE.items()}
    nulls = {column: (kind, None) for column, (kind, _) in EVERY_TYPE.items()}
    # Different columns are set, so that each is chosen from the row or from its source.
    sets = [update(name, {column: value}, key=number(5)) for column, value in columns.items()]
    await _settle_and_compare(
        local,
        [
            [upsert(name, "key", key=number(1), **columns), insert(name, key=number(2), **nulls)],
            [
                *(update(name, {"key": number(2)}, **{c: v}) for c, v in columns.items()),
                update(name, {"key": number(1)}, **nulls),
                upsert(name, "key", key=number(3), a_big=columns["a_big"]),
            ],
            [upsert(name, *columns, **columns, key=number(4))],
            sets,
        ],
    )
