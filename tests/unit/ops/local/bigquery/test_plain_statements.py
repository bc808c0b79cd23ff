"""Which statements are nothing but columns and tables."""

import pytest
from local_bigquery.sql.translate import parse

from ops.commands.provision.lane_ddl import lane_ddl, views_ddl
from ops.local.bigquery.plain_statements import is_plain
from ops.runtime.settings import Settings

SETTINGS = Settings.parse({})
LEDGER, REJECTED, HEAD = lane_ddl(SETTINGS, 7).splitlines()


@pytest.mark.parametrize("text", [LEDGER, REJECTED, *views_ddl(SETTINGS).values()])
def test_the_tables_of_a_lane_and_the_views_over_all_are_plain(text: str) -> None:
    (tree,) = parse(text)
    assert is_plain(tree)


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        "CREATE TABLE t (a TIMESTAMP DEFAULT CURRENT_TIMESTAMP())",
        "CREATE VIEW v AS SELECT a + 1 AS a FROM t",
        "CREATE VIEW v AS SELECT TIMESTAMP_TRUNC(a, HOUR) AS a FROM t",
        "CREATE VIEW v AS SELECT a FROM t ORDER BY a",
        "CREATE VIEW v AS SELECT * FROM t",
        "SELECT a FROM t",
        "DELETE FROM t WHERE a",
    ],
)
def test_a_statement_with_an_expression_is_not(text: str) -> None:
    (tree,) = parse(text)
    assert not is_plain(tree)
