"""Scripts taken apart into statements by sqlglot, cached by text.

sqlglot knows no procedural language: a script's tokens are cut at semicolons, and of `IF … THEN`
and the like the data statement behind it is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

CACHED_SCRIPTS: Final = 2_000
CACHED_STATEMENTS: Final = 20_000

_KINDS: Final[dict[type[exp.Expr], str]] = {
    exp.Insert: "INSERT",
    exp.Update: "UPDATE",
    exp.Delete: "DELETE",
    exp.Merge: "MERGE",
    exp.TruncateTable: "TRUNCATE",
    exp.Create: "CREATE",
    exp.Alter: "ALTER",
    exp.Drop: "DROP",
    exp.Transaction: "BEGIN",
    exp.Commit: "COMMIT",
    exp.Rollback: "ROLLBACK",
}
DML: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE"})
DDL: Final = frozenset({"CREATE", "ALTER", "DROP"})
_CHANGES_DATA: Final = DML | DDL
# The word behind which a statement may stand, by the first word of the piece.
_OPENERS: Final = {
    "IF": "THEN",
    "ELSEIF": "THEN",
    "WHILE": "DO",
    "ELSE": "",
    "LOOP": "",
}
_NOT_PARSED: Final = frozenset(
    {"DECLARE", "SET", "RAISE", "END", "EXCEPTION", "CALL", "RETURN", "BREAK", "EXECUTE"}
    | {"BEGIN", "COMMIT", "ROLLBACK"}
)


@dataclass(frozen=True, slots=True, eq=False)
class ParsedStatement:
    """One statement: its kind, the table that it changes, and all tables that it names.

    Names are `project.dataset.table`; the target is "" where nothing is changed. `mutates`: it
    updates or deletes rows. `tree` is None where sqlglot does not read the statement.
    """

    kind: str
    target: str = ""
    tables: frozenset[str] = frozenset()
    mutates: bool = False
    tree: exp.Expr | None = None
    target_node: exp.Table | None = None
    named: Callable[[exp.Table], str] = lambda _: ""
    """The full name of a table in `tree`; "" for a temporary or local one."""
    description: str = ""
    """Of an ASSERT."""


@lru_cache(CACHED_SCRIPTS)
def parse(sql: str, dataset: str) -> tuple[ParsedStatement, ...]:
    """Return the statements of a script; `dataset` (`project.dataset`) is the default one.

    A text that sqlglot cannot read is one statement of the kind OTHER.
    """
    try:
        pieces = list(_pieces(sql))
    except SqlglotError:
        return (ParsedStatement("OTHER"),)
    return tuple(_parsed(piece, dataset) for piece in pieces)


def _pieces(sql: str) -> Iterator[str]:
    """Yield the texts of a script's statements."""
    piece: list[Token] = []
    for token in [*BigQuery().tokenize(sql), None]:
        if token is not None and token.token_type != TokenType.SEMICOLON:
            piece.append(token)
            continue
        if _opens_block(piece):
            yield from _pieces(piece[1].text)
        elif rest := _data_statement(piece):
            yield sql[rest[0].start : rest[-1].end + 1]
        piece = []


def _opens_block(piece: Sequence[Token]) -> bool:
    """Whether a piece begins a block and not a transaction; one token has the rest of its text."""
    return len(piece) == 2 and piece[0].text.upper() == "BEGIN"  # noqa: PLR2004


def _data_statement(piece: Sequence[Token]) -> Sequence[Token]:
    """Return a piece without the control words before its statement."""
    while piece and (word := piece[0].text.upper()) in _OPENERS:
        closer = _OPENERS[word]
        end = next((i for i, t in enumerate(piece) if t.text.upper() == closer), 0)
        if closer and not end:
            return ()
        piece = piece[end + 1 :]
    return piece


@lru_cache(CACHED_STATEMENTS)  # scripts share statements
def _parsed(sql: str, dataset: str) -> ParsedStatement:
    word = sql.split(None, 1)[0].upper()
    if word == "ASSERT":
        condition, _, text = sql[len(word) :].partition(" AS ")
        tables = _parsed(f"SELECT {condition.replace('@@', '@')}", dataset).tables
        return ParsedStatement("ASSERT", tables=tables, description=text.strip("'\""))
    if word in _NOT_PARSED:
        return ParsedStatement(word)
    try:
        tree = BigQuery().parse(sql)[0]
    except SqlglotError:
        return ParsedStatement("OTHER")
    if tree is None:
        return ParsedStatement("OTHER")
    return _of_tree(tree, dataset)


def _of_tree(tree: exp.Expr, dataset: str) -> ParsedStatement:
    kind = _KINDS.get(type(tree), "SELECT" if isinstance(tree, exp.Query) else "OTHER")
    if isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty):
        kind = "OTHER"
    local = {each.alias_or_name for each in tree.find_all(exp.CTE)}

    def named(table: exp.Table) -> str:
        return _full_name(table, dataset, local)

    tables = frozenset(filter(None, map(named, tree.find_all(exp.Table))))
    changed = _target(tree) if kind in _CHANGES_DATA else None
    target = named(changed) if changed is not None else ""
    return ParsedStatement(kind, target, tables, _mutates(tree, kind), tree, changed, named)


def _full_name(table: exp.Table, dataset: str, local: set[str]) -> str:
    if not table.db and (table.name in local or not dataset):
        return ""
    if "INFORMATION_SCHEMA" in f"{table.db}.{table.name}".upper():
        return ""
    project, _, name = dataset.partition(".")
    return f"{table.catalog or project}.{table.db or name}.{table.name}"


def _target(tree: exp.Expr) -> exp.Table | None:
    listed = tree.expressions or tree.args.get("tables") or [None]
    target: Any = listed[0] if isinstance(tree, exp.TruncateTable | exp.Drop) else tree.this
    found = target.this if isinstance(target, exp.Schema) else target
    return found if isinstance(found, exp.Table) else None


def _mutates(tree: exp.Expr, kind: str) -> bool:
    """Whether a statement updates or deletes rows; a MERGE with INSERT clauses alone does not."""
    if isinstance(tree, exp.Merge):
        return any(
            not isinstance(when.args["then"], exp.Insert) for when in tree.find_all(exp.When)
        )
    return kind in {"UPDATE", "DELETE", "TRUNCATE"}
