import json

import schema
from ops.rig.transaction_mix import PARTITIONED_BY, TransactionMix


def test_every_transaction_of_the_mix_is_valid() -> None:
    mix = TransactionMix(seed=1)
    for _ in range(200):
        schema.check_body(json.dumps(mix.transaction()).encode())


def test_a_rewritten_row_is_deleted_by_its_id_and_time_and_inserted() -> None:
    made = TransactionMix(seed=1).rewritten()
    checked = schema.check_body(json.dumps(made).encode())
    delete, insert = checked.activities
    assert (delete.operation, insert.operation) == ("delete", "insert")
    assert delete.table == insert.table
    assert delete.names == ("id", PARTITIONED_BY)
    inserted = dict(zip(insert.names, insert.values, strict=True))
    assert delete.values == tuple(inserted[name] for name in delete.names)
