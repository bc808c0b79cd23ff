import json

import schema
from ops.rig.transaction_mix import TransactionMix


def test_every_transaction_of_the_mix_is_valid() -> None:
    mix = TransactionMix(seed=1)
    for _ in range(200):
        schema.check_body(json.dumps(mix.transaction()).encode())
