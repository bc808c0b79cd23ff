"""A cache of translations from BigQuery's SQL to DuckDB's.

Every batch has the same few statements with other parameters. To translate them takes more than
half of the time of a small transaction. Only INSERT, UPDATE, DELETE, MERGE and conditions of
scripts are cached. A translation depends on its text, but not on the names of its parameters; on
the project and dataset, the types of its parameters, and the catalog. A statement that creates,
changes or drops a table removes the translations that name that table or a view. Any other change
of the catalog clears the cache. Both happen before the client has its answer. A change inside a
transaction, which BigQuery refuses, is not visible to every statement immediately: after one the
cache is off.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from local_bigquery.catalog import names
from local_bigquery.engine import database
from local_bigquery.jobs import query, runner
from local_bigquery.sql import script, translate
from sqlglot import exp

from ops.local.bigquery import table_names
from ops.local.bigquery.parsed_trees import SOURCE_TEXT, ParsedTrees, numbered

MAX_TRANSLATIONS = 1_000
MAX_CHANGED_TABLES = 10_000
"""How many tables' last changes are stored, before the cache is cleared."""
_BOUND = re.compile(r"\$(\w+)")
# They do not change the catalog.
_NO_DDL = (
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
# They run as jobs; each job's statements are checked.
_JOB_PATHS = ("/jobs", "/queries")


type Reference = tuple[str, ...]
"""A table: project, dataset and name, without case."""


class _Translation(NamedTuple):
    """A translation, and what the translator left in the context."""

    sql: str
    parameters: dict[str, str]
    """The ones that it uses: name → SQL."""
    referenced: frozenset[tuple[str, str, str]]
    made_at: int
    """The number of catalog changes before the translation."""
    names: tuple[str, ...]
    """Its parameters, in order."""

    def renamed(self, names: tuple[str, ...]) -> "_Translation":
        """Return it for the same text with other names."""
        if names == self.names:
            return self
        new = dict(zip(self.names, names, strict=True))

        def bound(sql: str) -> str:
            return _BOUND.sub(lambda found: f"${new.get(found[1], found[1])}", sql)

        parameters = {new.get(name, name): bound(sql) for name, sql in self.parameters.items()}
        return self._replace(sql=bound(self.sql), parameters=parameters, names=names)


class TranslationCache:
    """The cache; thread-safe."""

    def __init__(
        self,
        translator: Callable[[Any, Any], tuple[str, dict[str, Any]]],
        max_translations: int = MAX_TRANSLATIONS,
    ) -> None:
        self._translator = translator
        self._max_translations = max_translations
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], _Translation] = OrderedDict()
        self._changes = 0
        self._cleared_at = 0
        self._changed_at: dict[Reference, int] = {}
        self._disabled = False

    def invalidate(self, *changed: Reference) -> None:
        """Remove translations that name these tables, or all; those being made now too."""
        with self._lock:
            self._changes += 1
            self._changed_at |= dict.fromkeys(map(_without_case, changed), self._changes)
            if not changed or len(self._changed_at) > MAX_CHANGED_TABLES:
                self._cleared_at = self._changes
                self._changed_at.clear()
                self._known.clear()

    def disable(self) -> None:
        self._disabled = True

    def translate(self, tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
        """Replace `local_bigquery.sql.translate.translate`."""
        source = tree.meta.get(SOURCE_TEXT)
        own = context.variables or context.temporary or context.functions
        if source is None or own or self._disabled:
            return self._translator(tree, context)
        text, names = numbered(source, tree)
        key = (text, context.project_id, context.dataset_id)
        with self._lock:
            known, made_at = self._known.get(key), self._changes
            if known and not self._is_valid(known):
                known = None
            if known:
                self._known.move_to_end(key)
                known = known.renamed(names)
        if known and known.parameters.items() <= context.parameters.items():
            context.referenced |= known.referenced
            return known.sql, {name: context.values[name] for name in known.parameters}
        before = set(context.referenced)
        context.referenced.clear()
        sql, bound = self._translator(tree, context)
        referenced = frozenset(context.referenced)
        context.referenced |= before
        if {each.name for each in tree.find_all(exp.Parameter)} <= bound.keys():
            parameters = {name: context.parameters[name] for name in bound}
            with self._lock:
                self._known[key] = _Translation(sql, parameters, referenced, made_at, names)
                while len(self._known) > self._max_translations:
                    self._known.popitem(last=False)
        return sql, bound

    def _is_valid(self, known: _Translation) -> bool:
        """Return whether nothing that a translation depends on has changed."""
        changed = (self._changed_at.get(_without_case(each), 0) for each in known.referenced)
        return max(self._cleared_at, *changed, 0) <= known.made_at


def _without_case(reference: Reference) -> Reference:
    return tuple(part.casefold() for part in reference)


def install() -> TranslationCache:
    """Put a cache in front of local_bigquery's translator, and return it."""
    cache = TranslationCache(translate.translate)
    query.translate = script.translate = cache.translate
    _attach_sources()
    _invalidate_on_changes(cache)
    return cache


def _attach_sources() -> None:
    """Store in the trees of cacheable statements the text that they come from."""
    expression, select = script.Interpreter.expression, script._select  # noqa: SLF001

    def expressed(interpreter: Any, text: str) -> Any:
        tree = expression(interpreter, text)
        if "@@" not in text:
            tree.meta[SOURCE_TEXT] = text
        return tree

    def selected(value: Any) -> Any:
        tree = select(value)
        if source := value.meta.pop(SOURCE_TEXT, None):
            tree.meta[SOURCE_TEXT] = f"SELECT {source}"
        return tree

    script.parse, script.Interpreter.expression = ParsedTrees(script.parse).parse, expressed
    script._select = selected  # noqa: SLF001


class _JobState(threading.local):
    """The state of this thread's job."""

    in_session = False
    in_transaction = False


def _invalidate_on_changes(cache: TranslationCache) -> None:
    """Invalidate translations whenever a job changes the catalog."""
    execute, statement = runner._execute, query._statement  # noqa: SLF001
    state = _JobState()

    def executed(job: Any, job_type: str, session: Any, *rest: Any) -> None:
        # A session may have a transaction open from one job to the next.
        state.in_session = state.in_transaction = session is not None
        asked = job.configuration.query if job.configuration else None
        # The destination that the client set: afterwards it is the query's own result.
        changes = asked is None or asked.destinationTable is not None
        try:
            execute(job, job_type, session, *rest)
        finally:
            if changes:
                cache.invalidate()

    def stated(cursor: Any, tree: Any, *rest: Any) -> Any:
        if isinstance(tree, exp.Transaction | exp.Commit | exp.Rollback):
            state.in_transaction = state.in_session or isinstance(tree, exp.Transaction)
        if isinstance(tree, _NO_DDL):
            return statement(cursor, tree, *rest)
        if state.in_transaction:
            cache.disable()
        changed = _tables_of(tree, rest[0])
        try:
            return statement(cursor, tree, *rest)
        finally:
            cache.invalidate(*changed)

    runner._execute, query._statement = executed, stated  # noqa: SLF001


def _tables_of(tree: Any, context: Any) -> list[Reference]:
    """Return the tables that a statement changes; none if it may change more than those."""
    plain = isinstance(tree, exp.Create | exp.Drop) or (
        isinstance(tree, exp.Alter)
        and all(isinstance(each, exp.ColumnDef | exp.Drop) for each in tree.args["actions"])
    )
    if not plain or (tree.args.get("kind") or "").upper() != "TABLE":
        return []
    return [
        *(
            names.reference(table, context.project_id, context.dataset_id or "")
            for table in tree.find_all(exp.Table)
        ),
        *_views(),
    ]


def _views() -> list[Reference]:
    """Return all views: each may depend on a table that the statement changes."""
    rows = database.fetch(
        "SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal"
    )
    return [(*dataset, table_names.original(name)) for *dataset, name in rows]


def clearing(app: Any, cache: TranslationCache) -> Any:
    """Wrap the ASGI application: a request that may change the catalog clears the cache."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if _changes(scope):
                cache.invalidate()

    return wrapped


def _changes(scope: Any) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] not in _READ_METHODS
        and not scope["path"].endswith(_JOB_PATHS)
    )
