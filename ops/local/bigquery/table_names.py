"""Names of tables as in BigQuery: case counts, and 1,024 bytes are allowed.

DuckDB compares names without case, and DuckLake makes the directory of a table from its name if
that has letters, digits, `_` and `-` only. So a name with capitals, or one that is too long for a
directory, is stored under another: in lower case, with a mark that no name in BigQuery contains and
the positions of the capitals. `Orders` is stored as `orders~1`, and `oRderS` as `orders~22`.
"""

import re
from collections.abc import Callable
from typing import Any

from local_bigquery import errors
from local_bigquery.catalog import metadata, names, tables
from local_bigquery.engine import database
from local_bigquery.jobs import query
from local_bigquery.sql import translate
from local_bigquery.sql.rules import tables as table_rules
from sqlglot import exp

_MARK = "~"  # a letter, number, mark, connector, dash or space is allowed in a name; this is none
_MAX_DIRECTORY_BYTES = 200  # most file systems: 255, and DuckLake adds nothing to the name
_CAPITALS = re.compile("[A-Z]")


def stored(name: str) -> str:
    """Return the name of a table in DuckDB; a stored name is returned unchanged."""
    if _MARK in name:
        return name
    capitals = sum(1 << each.start() for each in _CAPITALS.finditer(name))
    if not capitals and len(name.encode()) <= _MAX_DIRECTORY_BYTES:
        return name
    return f"{_CAPITALS.sub(lambda each: each[0].lower(), name)}{_MARK}{capitals:x}"


def original(name: str) -> str:
    """Return the name in BigQuery of a stored one."""
    text, mark, digits = name.rpartition(_MARK)
    if not mark:
        return name
    capitals = int(digits or "0", 16)
    return "".join(
        each.upper() if capitals >> position & 1 else each for position, each in enumerate(text)
    )


def apply() -> None:
    """Change local-bigquery: it must use stored names in DuckDB and original ones elsewhere."""
    physical, listed, label = tables.physical, database.objects, names.label
    stored_resources, reported = metadata.list_, query.from_duckdb

    def mapped_physical(project_id: str, dataset_id: str, table_id: str) -> tuple[str, str, str]:
        database_name, schema, name = physical(project_id, dataset_id, table_id)
        return database_name, schema, name if dataset_id == tables.RESULTS else stored(name)

    def mapped_objects(
        project_id: str, dataset_id: str, table_id: str | None = None
    ) -> list[tuple[str, str, int]]:
        if dataset_id == tables.RESULTS:
            found: list[tuple[str, str, int]] = listed(project_id, dataset_id, table_id)
            return found
        rows = listed(project_id, dataset_id, None if table_id is None else stored(table_id))
        return [(original(name), kind, count) for name, kind, count in rows]

    def mapped_list(model: Any, *keys: str) -> Any:
        return stored_resources(model, *keys[:2], *map(original, keys[2:3]), *keys[3:])

    def mapped_label(*parts: str) -> str:
        return str(label(*parts[:2], *map(original, parts[2:])))

    def from_duckdb(error: Exception, context: Any = None, tree: Any = None) -> Any:
        found = reported(error, context, tree)
        for table in tree.find_all(exp.Table) if tree is not None else ():
            found.message = found.message.replace(stored(table.name), table.name)
        return found

    tables.physical, database.objects, names.label = mapped_physical, mapped_objects, mapped_label
    metadata.list_ = mapped_list
    query.from_duckdb = errors.from_duckdb = from_duckdb
    _change_rules()


def _change_rules() -> None:
    qualify, wildcard = table_rules.qualify, table_rules.wildcard_table

    def qualified(tree: exp.Expr, context: Any) -> exp.Expr:
        with _Renamed(tree):
            tree = qualify(tree, context)
        target = names.target(tree)
        for table in tree.find_all(exp.Table):
            if table is not target or isinstance(tree, exp.Update | exp.Delete | exp.Merge):
                _keep_alias(table)
        return tree

    def named_wildcard(node: exp.Expr, context: Any) -> exp.Expr:
        found: exp.Expr = wildcard(node, context)
        for table in found.find_all(exp.Table) if found is not node else ():
            table.set("this", exp.to_identifier(stored(table.name), quoted=True))
        return found

    _replace(translate.STATEMENT_RULES, qualify, qualified)
    _replace(translate.NODE_RULES, wildcard, named_wildcard)


def _replace(rules: list[Callable[..., Any]], old: Any, new: Any) -> None:
    rules[rules.index(old)] = new


def _keep_alias(table: exp.Table) -> None:
    """Let `SELECT Orders.id FROM Orders` work: columns are named by the table's original name."""
    if _MARK in table.name and not table.alias and isinstance(table.this, exp.Identifier):
        alias = exp.to_identifier(original(table.name), quoted=True)
        table.set("alias", exp.TableAlias(this=alias))


class _Renamed:
    """Leaves the new name of ALTER TABLE … RENAME TO as it is: there is no such table yet."""

    def __init__(self, tree: exp.Expr) -> None:
        self._rename = tree.find(exp.AlterRename) if isinstance(tree, exp.Alter) else None
        self._name = self._rename.this.name if self._rename else ""

    def __enter__(self) -> None:
        if self._rename:
            self._rename.set("this", exp.to_identifier(stored(self._name), quoted=True))

    def __exit__(self, *_: object) -> None:
        """Keep the identifier: DuckDB takes no database here."""


def rename_old_tables() -> None:
    """Store tables of earlier versions, which have capitals or long names, under the new names."""
    rows = database.fetch(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name IN (SELECT database_name FROM duckdb_databases() "
        "WHERE type = 'ducklake')"
    )
    for database_name, schema, name in rows:
        if stored(name) != name:
            old, new = database.quote(database_name, schema, name), database.quote(stored(name))
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")
