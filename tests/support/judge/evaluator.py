"""A dataset in GoogleSQL's reference evaluator: runs the statements of a lane's script on rows."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from zetasql.wasi._pb2.zetasql.public.builtin_function_pb2 import FunctionSignatureId
from zetasql.wasi._pb2.zetasql.public.value_pb2 import ValueProto

from tests.support.judge.analysis import (
    Columns,
    catalog_proto,
    options_proto,
    table_proto,
    type_proto,
)
from tests.support.judge.engine import SqlRefused, engine

type Row = tuple[Any, ...]
"""One message (ValueProto) a column; see `tests.support.judge.cells`."""

_ROW = "gatekeeper_row"
"""The number of a row, the primary key without which a DELETE returns only a count."""
_MERGE = re.compile(r"MERGE INTO (`[^`]+`) AS t USING (\(.*\)) AS s ON (.*?)( WHEN .*)", re.DOTALL)
_WHEN = re.compile(
    r" WHEN (?P<negated>NOT )?MATCHED(?: AND (?P<condition>.*?))? THEN "
    r"(?:DELETE|UPDATE SET (?P<sets>.*?)|INSERT \((?P<names>.*?)\) VALUES \((?P<values>.*?)\))"
    r"(?= WHEN |$)",
    re.DOTALL,
)


_FUNCTION = re.compile(
    r"FN_(AND|BETWEEN|CASE_.*|COALESCE|CONCAT_STRING|COUNT.*|CURRENT_TIMESTAMP|EQUAL|ERROR|FROM_BASE64|GREATER.*|IF|IFNULL"
    r"|IN|IN_ARRAY|IS_NULL|IS_TRUE|IS_FALSE|JSON_(QUERY|VALUE)(_ARRAY)?|LESS.*|NOT|NOT_EQUAL|OR"
    r"|PARSE_JSON|STRING_AGG_STRING|SUBSTR_STRING|TO_JSON_STRING|(ADD|SUBTRACT)_INT64|(SAFE_)?ARRAY_AT_OFFSET)"
)
_FUNCTIONS = [name for name, _ in FunctionSignatureId.items() if _FUNCTION.fullmatch(name)]
"""The functions of the product's statements: a catalog of all takes 50 ms for each statement."""


class EvaluatedTable(NamedTuple):
    """A table's columns and its rows, by a number that no other row has."""

    columns: Columns
    rows: dict[int, Row]


class AssertionFailed(Exception):
    """An ASSERT of a script does not hold."""


class EvaluatedDataset:
    """Tables by the name that stands between backquotes."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self.tables = {name: EvaluatedTable(columns, {}) for name, columns in tables.items()}
        self._rows_made = 0

    def run(self, sql: str, parameters: Mapping[str, str]) -> None:
        """Run a script, a statement a line; a failed ASSERT leaves the rows as they were."""
        before = {name: dict(table.rows) for name, table in self.tables.items()}
        changed = 0
        try:
            for statement in sql.split(";\n"):
                changed = self._statement(statement.rstrip(";"), parameters, changed)
        except BaseException:
            for name, rows in before.items():
                self.tables[name] = self.tables[name]._replace(rows=rows)
            raise

    def query(self, sql: str, parameters: Mapping[str, str]) -> list[Row]:
        """Return a query's rows."""
        answer = engine().call("EvaluateQuery", **self._request(sql, parameters))
        return [tuple(row.cell) for row in answer.content.table_data.row]

    def _statement(self, sql: str, parameters: Mapping[str, str], changed: int) -> int:
        """Run one statement and return how many rows it changed, the next one's @@row_count."""
        word = sql.split(" ", 1)[0]
        if word in {"BEGIN", "COMMIT"}:
            return changed
        if word == "ASSERT":
            condition = sql.removeprefix("ASSERT ").replace("@@row_count", str(changed))
            ((holds,),) = self.query(f"SELECT {condition.rpartition(' AS ')[0]}", parameters)
            if not holds.bool_value:
                raise AssertionFailed(sql)
            return changed
        if word == "SELECT":
            self.query(sql, parameters)
            return changed
        if word == "MERGE":
            return self._merge(sql, parameters)
        changes = self._changes(sql, parameters)
        found = re.search(r"`([^`]+)`", sql)
        assert found, sql
        return self._apply(found[1], changes)

    def _merge(self, sql: str, parameters: Mapping[str, str]) -> int:
        """Run a MERGE, which the evaluator lacks, as the statements that its definition names.

        Each sees the rows as they were before it.
        https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#merge_statement
        """
        found = _MERGE.fullmatch(sql)
        assert found, sql
        table, source, on, whens = found.groups()
        clauses = list(_WHEN.finditer(whens))
        assert "".join(clause[0] for clause in clauses) == whens, whens
        matched = [clause for clause in clauses if not clause["negated"]]
        self._refuse_ambiguous(f"{table} AS t JOIN {source} AS s ON {on}", matched, parameters)
        name = table.strip("`")
        joined = f"FROM {source} AS s LEFT JOIN {table} AS t ON {on} WHERE t.{_ROW} IS NULL"
        changes: list[Any] = []
        come: list[Row] = []
        for clause in clauses:
            also = _where([clause], "AND")
            if clause["negated"]:
                rows = self.query(f"SELECT {clause['values']} {joined}{also}", parameters)
                come += [self._whole(name, clause["names"], row) for row in rows]
            else:
                changes += self._changes(_as_statement(clause, table, source, on), parameters)
        return self._apply(name, changes) + sum(self._add(name, row) for row in come)

    def _refuse_ambiguous(
        self, joined: str, matched: Sequence[re.Match[str]], parameters: Mapping[str, str]
    ) -> None:
        """Refuse two source rows, or two clauses, for one target row.

        For two clauses the first one would count in BigQuery: ours exclude one another.
        """
        pairs = [f"SELECT t.{_ROW} AS target FROM {joined}{_where([e], 'AND')}" for e in matched]
        union = " UNION ALL ".join(pairs)
        twice = f"SELECT 1 FROM ({union}) GROUP BY target HAVING COUNT(*) > 1"
        if pairs and self.query(twice, parameters):
            raise SqlRefused("MERGE must match at most one source row for each target row")

    def _whole(self, table: str, names: str, row: Row) -> Row:
        """Return a row of some columns as one of all; the others are NULL."""
        given = dict(zip(re.findall(r"`(\w+)`", names.casefold()), row, strict=True))
        return tuple(
            given.get(each.casefold(), ValueProto()) for each in self.tables[table].columns
        )

    def _add(self, table: str, row: Row) -> int:
        self._rows_made += 1
        self.tables[table].rows[self._rows_made] = row
        return 1

    def _changes(self, sql: str, parameters: Mapping[str, str]) -> list[Any]:
        keyed = not sql.startswith("INSERT")  # whose rows have no number yet
        answer = engine().call("EvaluateModify", **self._request(sql, parameters, keyed=keyed))
        return list(answer.content)

    def _apply(self, table: str, changes: Sequence[Any]) -> int:
        rows = self.tables[table].rows
        for change in changes:
            cells = tuple(change.cell)
            if change.old_primary_key:
                del rows[change.old_primary_key[0].int64_value]
                cells = cells[1:]
            if cells:
                self._add(table, cells)
        return len(changes)

    def _request(
        self, sql: str, parameters: Mapping[str, str], *, keyed: bool = True
    ) -> dict[str, Any]:
        """Return a request for the tables that a statement names; `keyed`: with row numbers."""
        given = {name: value for name, value in parameters.items() if f"@{name}" in sql}
        named = {name: table for name, table in self.tables.items() if f"`{name}`" in sql}
        return {
            "sql": sql,
            "options": options_proto(dict.fromkeys(given, "STRING")),
            "simple_catalog": catalog_proto(
                (
                    _keyed(table_proto(name, table.columns))
                    if keyed
                    else table_proto(name, table.columns)
                    for name, table in named.items()
                ),
                _FUNCTIONS,
            ),
            "table_content": {
                name: {
                    "table_data": {
                        "row": [
                            {
                                "cell": ([ValueProto(int64_value=number)] if keyed else [])
                                + list(row)
                            }
                            for number, row in table.rows.items()
                        ]
                    }
                }
                for name, table in named.items()
            },
            "params": [
                {"name": name, "value": {"string_value": value}} for name, value in given.items()
            ],
        }


def _keyed(table: dict[str, Any]) -> dict[str, Any]:
    number = {"name": _ROW, "type": type_proto("INT64")}
    return {**table, "column": [number, *table["column"]], "primary_key_column_index": [0]}


def _where(clauses: Sequence[re.Match[str]], word: str) -> str:
    conditions = [clause["condition"] for clause in clauses if clause["condition"]]
    return f" {word} {' AND '.join(conditions)}" if conditions else ""


def _as_statement(clause: re.Match[str], table: str, source: str, on: str) -> str:
    also = _where([clause], "AND")
    if clause["sets"]:
        return f"UPDATE {table} AS t SET {clause['sets']} FROM {source} AS s WHERE {on}{also}"
    return f"DELETE FROM {table} AS t WHERE EXISTS (SELECT 1 FROM {source} AS s WHERE {on}{also})"
