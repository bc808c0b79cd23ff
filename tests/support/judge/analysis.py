"""Analyzes scripts statement by statement as BigQuery's dialect of GoogleSQL."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind

from tests.support.judge.engine import SqlRefused, engine

type Columns = Mapping[str, str]
"""A table's columns: name → type without parameters."""

_FEATURES = (
    "ADDITIONAL_STRING_FUNCTIONS",
    "ALTER_COLUMN_SET_DATA_TYPE",
    "ALTER_TABLE_RENAME_COLUMN",
    "ANALYTIC_FUNCTIONS",
    "ARRAY_ORDERING",
    "BIGNUMERIC_TYPE",
    "CIVIL_TIME",
    "COLUMN_DEFAULT_VALUE",
    "CREATE_TABLE_CLUSTER_BY",
    "CREATE_TABLE_NOT_NULL",
    "CREATE_TABLE_PARTITION_BY",
    "DATE_ARITHMETICS",
    "DATE_TIME_CONSTRUCTORS",
    "DECIMAL_ALIAS",
    "DISALLOW_GROUP_BY_FLOAT",
    "DML_UPDATE_WITH_JOIN",
    "EXTENDED_DATE_TIME_SIGNATURES",
    "GROUP_BY_ALL",
    "GROUP_BY_ROLLUP",
    "HAVING_IN_AGGREGATE",
    "IS_DISTINCT",
    "JSON_ARRAY_FUNCTIONS",
    "JSON_CONSTRUCTOR_FUNCTIONS",
    "JSON_TYPE",
    "JSON_VALUE_EXTRACTION_FUNCTIONS",
    "LIMIT_IN_AGGREGATE",
    "NAMED_ARGUMENTS",
    "NULLS_FIRST_LAST_IN_ORDER_BY",
    "NULL_HANDLING_MODIFIER_IN_AGGREGATE",
    "NUMERIC_TYPE",
    "OMIT_INSERT_COLUMN_LIST",
    "ORDER_BY_IN_AGGREGATE",
    "PARAMETERIZED_TYPES",
    "QUALIFY",
    "SAFE_FUNCTION_CALL",
    "SELECT_STAR_EXCEPT_REPLACE",
    "UNENFORCED_PRIMARY_KEYS",
    "WITH_ON_SUBQUERY",
    "WITH_RECURSIVE",
)
"""What BigQuery's documentation has:
https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax and its neighbours."""

IN_TRANSACTION = {"query", "assert", "insert", "update", "delete", "merge"}
"""Ours of https://cloud.google.com/bigquery/docs/transactions#transaction_limitations: no DDL."""
_CREATE_TABLE = {"create_table", "create_table_as_select"}
_KINDS = {
    *IN_TRANSACTION,
    *_CREATE_TABLE,
    "begin",
    "commit",
    "alter_table",
    "create_view",
}

_LANGUAGE: dict[str, Any] = {
    "product_mode": "PRODUCT_EXTERNAL",
    "enabled_language_features": [f"FEATURE_{name}" for name in _FEATURES],
    "supported_statement_kinds": [f"RESOLVED_{kind.upper()}_STMT" for kind in sorted(_KINDS)],
}
_KIND = re.compile(r"resolved_(.*)_stmt(_node)?")
_ENGINE_NAMES = {"FLOAT64": "DOUBLE", "INTEGER": "INT64", "FLOAT": "DOUBLE", "BOOLEAN": "BOOL"}


def type_proto(name: str) -> dict[str, Any]:
    return {"type_kind": f"TYPE_{_ENGINE_NAMES.get(name, name)}"}


def table_proto(name: str, columns: Columns) -> dict[str, Any]:
    """Return a table; its name is all that stands between backquotes: `project.dataset.table`."""
    return {
        "name": name,
        "column": [{"name": column, "type": type_proto(kind)} for column, kind in columns.items()],
    }


def catalog_proto(
    tables: Iterable[Mapping[str, Any]], functions: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a catalog of tables, with BigQuery's functions or only those of these ids."""
    return {
        "name": "tables",
        "builtin_function_options": {
            "language_options": _LANGUAGE,
            "include_function_ids": functions,
        },
        "table": [{**table, "serialization_id": i} for i, table in enumerate(tables, 1)],
    }


def options_proto(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of BigQuery, for parameters by name with their types."""
    return {
        "language_options": _LANGUAGE,
        "default_timezone": "UTC",
        "query_parameters": [
            {"name": name, "type": type_proto(kind)} for name, kind in parameters.items()
        ],
    }


class Analyzer:
    """Analyzes scripts against the schemas of tables, each statement once."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        catalog = catalog_proto(table_proto(*each) for each in tables.items())
        answer = engine().call("RegisterCatalog", simple_catalog=catalog)
        self._catalog = answer.registered_id
        self._known: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}

    def analyze(self, sql: str, parameters: Mapping[str, str]) -> list[str]:
        """Return the kinds of a script's statements: `update`. Raises SqlRefused."""
        kinds: list[str] = []
        for text in _texts(sql):
            own = tuple((name, kind) for name, kind in parameters.items() if f"@{name}" in text)
            if (text, own) not in self._known:
                statements = self._statements(text, dict(own))
                self._known[text, own] = [_innermost(each)[0] for each in statements]
            kinds += self._known[text, own]
        _check_transactions(kinds)
        return kinds

    def created(self, sql: str) -> dict[str, Columns]:
        """Return the tables that a script creates; a statement that is refused creates none."""
        made: dict[str, Columns] = {}
        for text in _texts(sql):
            if not text.startswith("CREATE"):
                continue
            with contextlib.suppress(SqlRefused):
                for statement in self._statements(text, {}):
                    kind, inner = _innermost(statement)
                    if kind in _CREATE_TABLE:
                        made[_name(inner)] = _columns(inner)
        return made

    def _statements(self, text: str, parameters: Mapping[str, str]) -> Iterator[Message]:
        options = options_proto(parameters)
        options["system_variables"] = [{"name_path": ["row_count"], "type": type_proto("INT64")}]
        position, whole = 0, text.encode()
        while whole[position:].strip():
            answer = engine().call(
                "Analyze",
                registered_catalog_id=self._catalog,
                options=options,
                parse_resume_location={
                    "input": text,
                    "byte_position": position,
                    "allow_resume": True,
                },
            )
            yield answer.resolved_statement
            position = answer.resume_byte_position


def _texts(sql: str) -> list[str]:
    return re.split(r"(?<=;)\n", sql.strip())


def _innermost(statement: Message) -> tuple[str, Any]:
    """Return a statement's kind, the innermost name of nested one-ofs, and the message there."""
    name = statement.WhichOneof("node") or ""
    inner: Message = getattr(statement, name)
    if "node" in inner.DESCRIPTOR.oneofs_by_name and inner.WhichOneof("node"):
        return _innermost(inner)
    found = _KIND.fullmatch(name)
    return found[1] if found else name, inner


def _name(create_table: Any) -> str:
    return ".".join(create_table.parent.parent.name_path)


def _columns(create_table: Any) -> Columns:
    return {
        each.name: TypeKind.Name(each.type.type_kind).removeprefix("TYPE_")
        for each in create_table.parent.column_definition_list
    }


def _check_transactions(kinds: Iterable[str]) -> None:
    inside = False
    for kind in kinds:
        if inside and kind not in IN_TRANSACTION | {"commit"}:
            raise SqlRefused(f"{kind} inside a transaction")
        inside = (inside or kind == "begin") and kind != "commit"
    if inside:
        raise SqlRefused("the transaction is not committed")
