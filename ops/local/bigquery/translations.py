"""Remembers translations from BigQuery's SQL to DuckDB's, as long as their tables stay as they are.

The same few statements come with every batch, with other parameters; to translate them is more than
half of the time that a small transaction takes. Only INSERT, DELETE and conditions of scripts are
remembered. A translation depends on its text, the project and dataset, the types of its parameters,
and the catalog. A statement that makes, changes or drops a table forgets what names that table, and
any other change of the catalog forgets all, before its client has the answer. A change inside a
transaction, which BigQuery refuses, is not visible to all at once: after one nothing is remembered
any more.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from local_bigquery.catalog import names
from local_bigquery.engine import database
from local_bigquery.jobs import query, runner
from local_bigquery.sql import script, translate
from sqlglot import exp

REMEMBERED = 1_000
CHANGED = 10_000
"""How many tables' last changes are remembered, before all is forgotten."""
_SOURCE = "gatekeeper_source"
# They leave the catalog as it is.
_HARMLESS = (
    exp.Insert,
    exp.Delete,
    exp.Update,
    exp.Merge,
    exp.Query,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
)
_READ_METHODS = {"GET", "HEAD", "OPTIONS"}
# They run as jobs, which are looked at one by one.
_JOB_PATHS = ("/jobs", "/queries")


type Reference = tuple[str, ...]
"""A table: project, dataset and name, without case."""


class _Translation(NamedTuple):
    """A translation, and what translating has left in the context."""

    sql: str
    parameters: dict[str, str]
    """Those that it uses: name → the SQL that stands for it."""
    referenced: frozenset[tuple[str, str, str]]
    made_at: int
    """The number of changes of the catalog before it was made."""


class Translations:
    """The memory. For any thread."""

    def __init__(self, translate_anew: Callable[[Any, Any], tuple[str, dict[str, Any]]]) -> None:
        self._anew = translate_anew
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], _Translation] = OrderedDict()
        self._changes = 0
        self._forgotten_at = 0
        self._changed_at: dict[Reference, int] = {}
        self._given_up = False

    def forget(self, *changed: Reference) -> None:
        """Forget what names these tables, or all; also what is being translated now."""
        with self._lock:
            self._changes += 1
            self._changed_at |= dict.fromkeys(map(_without_case, changed), self._changes)
            if not changed or len(self._changed_at) > CHANGED:
                self._forgotten_at = self._changes
                self._changed_at.clear()
                self._known.clear()

    def give_up(self) -> None:
        """Remember nothing from now on."""
        self._given_up = True

    def translate(self, tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
        """Do as `local_bigquery.sql.translate.translate` does."""
        source = tree.meta.get(_SOURCE)
        own = context.variables or context.temporary or context.functions
        if source is None or own or self._given_up:
            return self._anew(tree, context)
        key = (source, context.project_id, context.dataset_id)
        with self._lock:
            known, made_at = self._known.get(key), self._changes
            if known and not self._holds(known):
                known = None
            if known:
                self._known.move_to_end(key)
        if known and known.parameters.items() <= context.parameters.items():
            context.referenced |= known.referenced
            return known.sql, {name: context.values[name] for name in known.parameters}
        before = set(context.referenced)
        context.referenced.clear()
        sql, bound = self._anew(tree, context)
        referenced = frozenset(context.referenced)
        context.referenced |= before
        if {each.name for each in tree.find_all(exp.Parameter)} <= bound.keys():
            parameters = {name: context.parameters[name] for name in bound}
            with self._lock:
                self._known[key] = _Translation(sql, parameters, referenced, made_at)
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return sql, bound

    def _holds(self, known: _Translation) -> bool:
        """Tell whether nothing has changed that a translation depends on."""
        changed = (self._changed_at.get(_without_case(each), 0) for each in known.referenced)
        return max(self._forgotten_at, *changed, 0) <= known.made_at


def _without_case(reference: Reference) -> Reference:
    return tuple(part.casefold() for part in reference)


def remember() -> Translations:
    """Put a memory in front of local_bigquery's translation, and return it."""
    memory = Translations(translate.translate)
    query.translate = script.translate = memory.translate
    _name_sources()
    _forget_at_changes(memory)
    return memory


def _name_sources() -> None:
    """Give the trees of statements worth remembering the text that they are of."""
    parse, expression, select = script.parse, script.Interpreter.expression, script._select  # noqa: SLF001

    def parsed(text: str) -> Any:
        trees = parse(text)
        if len(trees) == 1 and isinstance(trees[0], exp.Insert | exp.Delete) and "@@" not in text:
            trees[0].meta[_SOURCE] = text
        return trees

    def expressed(interpreter: Any, text: str) -> Any:
        tree = expression(interpreter, text)
        if "@@" not in text:
            tree.meta[_SOURCE] = text
        return tree

    def selected(value: Any) -> Any:
        tree = select(value)
        if source := value.meta.pop(_SOURCE, None):
            tree.meta[_SOURCE] = f"SELECT {source}"
        return tree

    script.parse, script.Interpreter.expression = parsed, expressed
    script._select = selected  # noqa: SLF001


class _Here(threading.local):
    """What the job of this thread is in."""

    in_session = False
    in_transaction = False


def _forget_at_changes(memory: Translations) -> None:
    """Forget whenever a job changes the catalog."""
    execute, statement = runner._execute, query._statement  # noqa: SLF001
    here = _Here()

    def executed(job: Any, job_type: str, session: Any, *rest: Any) -> None:
        # A session may have a transaction open from one job to the next.
        here.in_session = here.in_transaction = session is not None
        asked = job.configuration.query if job.configuration else None
        # Asked for by the client: afterwards a query's own result stands there.
        changes = asked is None or asked.destinationTable is not None
        try:
            execute(job, job_type, session, *rest)
        finally:
            if changes:
                memory.forget()

    def stated(cursor: Any, tree: Any, *rest: Any) -> Any:
        if isinstance(tree, exp.Transaction | exp.Commit | exp.Rollback):
            here.in_transaction = here.in_session or isinstance(tree, exp.Transaction)
        if isinstance(tree, _HARMLESS):
            return statement(cursor, tree, *rest)
        if here.in_transaction:
            memory.give_up()
        changed = _tables_of(tree, rest[0])
        try:
            return statement(cursor, tree, *rest)
        finally:
            memory.forget(*changed)

    runner._execute, query._statement = executed, stated  # noqa: SLF001


def _tables_of(tree: Any, context: Any) -> list[Reference]:
    """Return the tables that a statement changes; none where it may change more than that."""
    plain = isinstance(tree, exp.Create | exp.Drop) or (
        isinstance(tree, exp.Alter)
        and all(isinstance(each, exp.ColumnDef | exp.Drop) for each in tree.args["actions"])
    )
    if not plain or (tree.args.get("kind") or "").upper() != "TABLE" or _views():
        return []
    return [
        names.reference(table, context.project_id, context.dataset_id or "")
        for table in tree.find_all(exp.Table)
    ]


def _views() -> bool:
    """Tell whether there are views: what names one depends on tables that it does not name."""
    return bool(database.fetch("SELECT 1 FROM duckdb_views() WHERE NOT internal LIMIT 1"))


def forgetting(app: Any, memory: Translations) -> Any:
    """Wrap the ASGI application so that requests that change the catalog forget."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if _changes(scope):
                memory.forget()

    return wrapped


def _changes(scope: Any) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] not in _READ_METHODS
        and not scope["path"].endswith(_JOB_PATHS)
    )
