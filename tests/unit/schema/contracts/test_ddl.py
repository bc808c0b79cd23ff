from schema.contracts import create_contract_table
from schema.types import parse_type
from tests.support.contracts import column, contract
from tests.support.judge.analysis import Analyzer

FULL = contract(
    "orders",
    column("id", "INTEGER", primaryKey=True),
    column("item", required=True, description='a "quoted" \\ article\nof 2 lines 😀'),
    column("secret", customProperties=[{"property": "gatekeeper.transform", "value": "drop"}]),
    column("placed_at", "TIMESTAMP", partitioned=True),
    custom={
        "mode": "freeze",
        "clustering": ["item", "id"],
        "partitionGranularity": "MONTH",
        "partitionExpirationDays": 400,
        "labels": {"team": "shop"},
    },
)


def test_a_frozen_table_is_made_with_all_that_its_contract_says() -> None:
    assert create_contract_table("p.d", FULL, [("more", parse_type("TEXT"))]) == (
        "CREATE TABLE IF NOT EXISTS `p.d.orders` (`id` INT64 NOT NULL, `item` STRING NOT NULL "
        r'OPTIONS(description="a \"quoted\" \\ article\nof 2 lines 😀"), '
        "`placed_at` TIMESTAMP, `more` STRING, PRIMARY KEY (`id`) NOT ENFORCED) "
        "PARTITION BY TIMESTAMP_TRUNC(`placed_at`, MONTH) CLUSTER BY `item`, `id` "
        'OPTIONS(partition_expiration_days=400, labels=[("team", "shop")])'
    )


def test_a_mode_that_accepts_null_makes_no_column_not_null() -> None:
    required = column("item", required=True)
    for mode in ("evolve", "report"):
        made = create_contract_table("p.d", contract("t", required, custom={"mode": mode}))
        assert made == "CREATE TABLE IF NOT EXISTS `p.d.t` (`item` STRING)"


def test_googlesql_takes_every_partition() -> None:
    made = [create_contract_table("p.d", FULL)]
    for base in ("DATE", "DATETIME", "TIMESTAMP"):
        for size in ("HOUR", "DAY", "MONTH", "YEAR"):
            if (base, size) != ("DATE", "HOUR"):
                at = column("at", base, partitioned=True)
                custom = {"partitionGranularity": size}
                made.append(create_contract_table("p.d", contract("t", at, custom=custom)))
    analyzer = Analyzer({})
    for text in made:
        assert analyzer.analyze(text, {}) == ["create_table"]
