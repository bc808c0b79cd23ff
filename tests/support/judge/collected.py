"""Judges the SQL texts that the processes of a test run have recorded."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from schema import LEDGER_COLUMNS, REJECTED_COLUMNS
from tests.support.judge.analysis import Analyzer, Columns
from tests.support.judge.engine import SqlRefused

_QUOTED = re.compile(r"`([\w-]+\.[\w-]+\.[\w-]+)`")
_LANE = re.compile(r"(gatekeeper_(?:lane|ledger|rejected)_)\d+")
_ADDED = re.compile(r"ALTER TABLE `(\S+)` ADD COLUMN IF NOT EXISTS `(\w+)` (\w+);")
_LEDGER = {column.name: column.type for column in LEDGER_COLUMNS}
_REJECTED = {column.name: column.type for column in REJECTED_COLUMNS}
_UNKNOWN_TO_GOOGLESQL = re.compile(
    r"\A(?:BEGIN TRANSACTION|CALL BQ\.ABORT_SESSION\(\))\Z|^IF |\bgatekeeper_try_\w+` ADD COLUMN ",
    re.MULTILINE,
)
"""What only BigQuery itself can judge, and `doctor --try` asks it: a session's statements, a
script's IF, and whether a dropped column may be added again."""
_HEAD = {"epoch": "INT64", "lanes": "INT64", "suspect": "STRING", "attempts": "INT64"}


type Versions = tuple[Columns, ...]
"""A table's columns as a process has had them, the newest first."""


class SentText(NamedTuple):
    """A text that left a process, and the tables that the process had then."""

    sql: str
    parameters: Mapping[str, str]
    tables: Mapping[str, Versions]


class RefusedText(NamedTuple):
    sql: str
    error: str


def read(folder: Path) -> Iterator[SentText]:
    """Read what the processes have recorded, a file each."""
    for file in sorted(folder.iterdir()):
        yield from texts(file.read_text().splitlines())


def texts(lines: Iterable[str]) -> Iterator[SentText]:
    """Read what one process has recorded."""
    tables: dict[str, Versions] = {}
    for line in lines:
        record = json.loads(line)
        if "table" in record:
            name = record["table"]
            tables = {**tables, name: (record["columns"], *tables.get(name, ()))}
        else:
            yield SentText(record["sql"], record["parameters"], tables)
            # `gatekeeper provision` does not read what it has changed.
            for name, column, kind in _ADDED.findall(record["sql"]):
                versions = tables.get(name, ({},))
                tables = {**tables, name: ({**versions[0], column: kind}, *versions)}


def judge(sent: Iterable[SentText]) -> tuple[int, list[RefusedText]]:
    """Return how many different texts there are, and those that GoogleSQL refuses.

    A text is right if it is with any columns that its process has had: it may have been written
    before a table was replaced. Texts are one if they differ in their datasets and lanes alone.
    """
    everything = [each for each in sent if not _UNKNOWN_TO_GOOGLESQL.search(each.sql)]
    names = _Names(_everywhere(everything))
    different = dict.fromkeys(
        (names.texts(each), tuple(each.parameters.items())) for each in everything
    )
    analyzer = Analyzer(names.tables)
    refused = []
    for texts_, parameters in different:
        errors = [_error(analyzer, text, dict(parameters)) for text in texts_]
        if all(errors):
            refused.append(RefusedText(texts_[0], str(errors[0])))
    return len(different), refused


def _error(analyzer: Analyzer, text: str, parameters: Mapping[str, str]) -> SqlRefused | None:
    try:
        analyzer.analyze(text, parameters)
    except SqlRefused as error:
        return error
    return None


class _Names:
    """Names for tables with these columns, so that one catalog holds those of all processes."""

    def __init__(self, everywhere: Mapping[str, Columns]) -> None:
        self.tables: dict[str, Columns] = dict(everywhere)
        self._everywhere = everywhere
        self._names: dict[tuple[str, str], str] = {}

    def texts(self, sent: SentText) -> tuple[str, ...]:
        """Return the text with the tables' newest columns, the ones before them, and so on."""
        most = max(map(len, sent.tables.values()), default=1)
        return tuple(dict.fromkeys(self._text(sent, age) for age in range(most)))

    def _text(self, sent: SentText, age: int) -> str:
        def name(found: re.Match[str]) -> str:
            versions = sent.tables.get(found[1], ())
            return f"`{self._name(found[1].rpartition('.')[2], versions[: age + 1])}`"

        return _QUOTED.sub(name, _one_lane(sent.sql))

    def _name(self, table: str, versions: Versions) -> str:
        columns = versions[-1] if versions else self._everywhere.get(table.casefold(), {})
        name = self._names.setdefault((table, json.dumps(columns)), f"{table} #{len(self._names)}")
        if columns:
            self.tables[name] = columns
        return name


def _one_lane(sql: str) -> str:
    """Lanes' tables differ in their number alone."""
    return _LANE.sub(r"\g<1>00", sql)


def _everywhere(sent: Collection[SentText]) -> dict[str, Columns]:
    """Return tables by bare name, with the columns that they have in any process.

    A table that no process has had is as a text creates it.
    """
    found: dict[str, dict[str, str]] = {
        "gatekeeper_ledger": dict(_LEDGER),
        "gatekeeper_ledger_00": dict(_LEDGER),
        "gatekeeper_rejected": dict(_REJECTED),
        "gatekeeper_rejected_00": dict(_REJECTED),
        "gatekeeper_lane_00": dict(_HEAD),
        "gatekeeper_resumes": {"resumed_at": "TIMESTAMP"},
    }
    for tables in {id(each.tables): each.tables for each in sent}.values():
        for name, versions in tables.items():
            bare = name.rpartition(".")[2].casefold()
            for columns in versions:
                found[bare] = {**columns, **found.get(bare, {})}
    created = _created(each.sql for each in sent)
    return {**created, **found}


def _created(sql: Iterable[str]) -> dict[str, Columns]:
    analyzer, found = Analyzer({}), dict[str, Columns]()
    for text in dict.fromkeys(_one_lane(each) for each in sql if "CREATE" in each):
        for name, columns in analyzer.created(text).items():
            found.setdefault(name.rpartition(".")[2].casefold(), columns)
    return found
