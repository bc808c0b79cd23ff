"""Prints as JSON how local-bigquery behaves in a directory; with `patched`, with our changes.

Run it as a separate process: the changes cannot be undone.
"""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.jobs import query, runner
from local_bigquery.models import JobConfiguration
from local_bigquery.settings import settings

from ops.local.bigquery import patches
from ops.local.bigquery.maintenance_lock import MaintenanceLock

PROJECT, DATASET = "a-project", "data"
DIGITS = "1.123456789012345678901234567891"
WIDE = "12345678901234567890123456789012345678"


def run(sql: str, **texts: str) -> Any:
    configuration = JobConfiguration.model_validate(
        {
            "query": {
                "query": sql,
                "parameterMode": "NAMED",
                "defaultDataset": {"projectId": PROJECT, "datasetId": DATASET},
                "queryParameters": [
                    {
                        "name": name,
                        "parameterType": {"type": "STRING"},
                        "parameterValue": {"value": value},
                    }
                    for name, value in texts.items()
                ],
            }
        }
    )
    job_id = f"job{next(numbers)}"
    runner.submit(PROJECT, job_id, configuration)
    job = runner.wait(PROJECT, job_id, 60_000)
    error = job.status.errorResult
    return error.message if error else None


def conflict() -> str:
    """Return the error of a transaction that lost a race."""
    with database.cursor() as loser, database.cursor() as winner:
        for cursor in (loser, winner):
            cursor.execute(f"USE {database.quote(PROJECT, DATASET)}")
            cursor.execute("BEGIN")
            cursor.execute("DELETE FROM raced WHERE n = 1")
        winner.execute("COMMIT")
        try:
            loser.execute("COMMIT")
        except duckdb.Error as error:
            return str(query.from_duckdb(error).message)
    return "no conflict"


def failed_statements() -> list[str]:
    """Return the errors of scripts whose second or third statement fails, and of a query."""
    run("CREATE TABLE strict (n INT64 NOT NULL)")
    refused = "INSERT INTO strict (n) SELECT CAST(NULL AS INT64)"
    return [
        run(f"BEGIN TRANSACTION;\nINSERT INTO strict (n) VALUES (1); {refused};\nCOMMIT;"),
        run("BEGIN TRANSACTION;\n\nASSERT 1 = 2 AS 'wrong';\nCOMMIT TRANSACTION;"),
        run(refused),
    ]


def in_lists() -> dict[str, list[Any]]:
    """Return whether 'a', 'z' and NULL are in each of some lists."""
    answers = {}
    for values in ('["a","b"]', "[]", '["a",null]'):
        failed = run(
            "CREATE OR REPLACE TABLE looked_up AS SELECT i, s IN UNNEST(JSON_VALUE_ARRAY(@v)) AS a "
            "FROM (SELECT 1 AS i, 'a' AS s UNION ALL SELECT 2, 'z' UNION ALL SELECT 3, NULL)",
            v=values,
        )
        table = database.quote(PROJECT, DATASET, "looked_up")
        found = database.fetch(f"SELECT a FROM {table} ORDER BY i")
        answers[values] = [failed] if failed else [answer for (answer,) in found]
    return answers


def facts() -> dict[str, Any]:
    run("CREATE TABLE t (d BIGNUMERIC(38,30), w BIGNUMERIC(38,0))")
    run("ALTER TABLE t ADD COLUMN a NUMERIC(5,2)")
    run("INSERT INTO t (d) SELECT CAST(JSON_VALUE(@v) AS BIGNUMERIC)", v=f'"{DIGITS}"')
    wide = run("INSERT INTO t (w) SELECT CAST(JSON_VALUE(@v) AS BIGNUMERIC)", v=f'"{WIDE}"')
    digits = database.fetch(f"SELECT max(d) FROM {database.quote(PROJECT, DATASET, 't')}")
    run("CREATE TABLE raced (n INT64)")
    run("INSERT INTO raced (n) VALUES (1)")
    # As after a kill between two commits: created, but its declaration is not stored.
    cut = database.quote(PROJECT, DATASET, "cut")
    database.execute(f"CREATE TABLE {cut} (s DECIMAL(12,2), n DECIMAL(38,9), b DECIMAL(38,18))")
    sizes = [field.precision for field in tables.fields(tables.get(PROJECT, DATASET, "cut"))]
    fields = {field.name: field for field in tables.fields(tables.get(PROJECT, DATASET, "t"))}
    dropping = run("ALTER TABLE t DROP COLUMN a")
    (kept,) = database.fetch(
        "SELECT count(*) FROM emulator.jobs WHERE contains(resource::VARCHAR, ?)", [WIDE]
    )
    return {
        "digits": str(digits[0][0]),
        "wide_refused": wide is not None,
        "wide_type": fields["w"].type,
        "added_precision": fields["a"].precision,
        "undeclared_precisions": sizes,
        "dropping": dropping,
        "conflict": conflict(),
        "parameters_kept": kept[0] > 0,
        "failed_statements": failed_statements(),
        "in_lists": in_lists(),
        "lists_searched": "ARRAY_CONTAINS"
        in query.translate_view(PROJECT, DATASET, "SELECT n IN UNNEST([1, 2]) FROM raced"),
    }


numbers = iter(range(1_000))
if __name__ == "__main__":
    settings.data_dir = Path(sys.argv[1])
    settings.default_project_id, settings.default_dataset_id = PROJECT, DATASET
    if "patched" in sys.argv:
        patches.apply(MaintenanceLock())
    sys.stdout.write(json.dumps(facts()))
