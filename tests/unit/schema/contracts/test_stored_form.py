import orjson

from schema.contracts import Transform
from schema.contracts.stored_form import from_stored, to_stored
from schema.odcs import read_contracts
from tests.unit.schema.odcs.test_read_contracts import WHOLE


def test_a_contract_comes_back_from_json_as_it_was() -> None:
    (contract,) = read_contracts("orders.yaml", WHOLE)
    back = from_stored(orjson.loads(orjson.dumps(to_stored(contract))))
    assert back == contract
    assert back.columns[3].transform is Transform.HASH
