from ops.rig.strict_bigquery.billed_bytes import Partitioning
from ops.rig.strict_bigquery.embedded_upstream import passed_headers, shape_of


def test_a_table_s_shape_has_standard_type_names_and_its_partitioning() -> None:
    fields = [
        {"name": "Id", "type": "INTEGER"},
        {"name": "amount", "type": "NUMERIC", "precision": "10"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    ]
    table = {"schema": {"fields": fields}, "timePartitioning": {"type": "HOUR", "field": "at"}}
    shape = shape_of(table)
    assert shape.columns == {"id": "INT64", "amount": "NUMERIC"}
    assert shape.partitioning == Partitioning("at", 3_600)
    assert shape_of({}).partitioning is None


def test_headers_of_one_connection_are_not_passed_on() -> None:
    given = {"Connection": "close", "Content-Length": "3", "Host": "h", "If-None-Match": "e"}
    assert passed_headers(given) == {"If-None-Match": "e"}
