"""The journal: what was sent and what was answered, a JSON object a line, written as it happens.

A request is written before it is sent and again when it is answered, so a journal that ends in
mid-load still says what may have been accepted. Lines of one stream are in the order of sending.

  {"foreign": {"table": …, "columns": {name: type}, "required": [name]}}   someone else's table
  {"sent": {"stream", "number", "kind", "source", "key", "ordering_key", "batch", "bodies"}}
  {"answered": {"stream", "number", "verdicts": [[status, id], …]}}        a pair for each body
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ops.trial.stream import Step
from schema import derive_id

ACCEPTED = 200

type Key = tuple[str, str]
"""A transaction: its id and the SHA-256 of its body, hexadecimal."""


class InvalidJournal(ValueError):
    """The file is no journal; the text names the line."""


class Foreign(NamedTuple):
    """A table that someone else made, or whose columns they changed."""

    table: str
    columns: dict[str, str]
    required: tuple[str, ...]


class Sent(NamedTuple):
    """One transaction that was sent, and its answer's status; None when there was no answer."""

    stream: str
    number: int
    kind: str
    id: str
    sha256: str
    data: bytes
    status: int | None

    @property
    def key(self) -> Key:
        """What the ledger knows it by."""
        return self.id, self.sha256


def id_of(step: Step, place: int) -> str:
    """Return the id of one body of a request: the line's, in a batch."""
    return derive_id(step.source, f"{step.key}/{place + 1}" if step.batch else step.key)


class Journal:
    """The file being written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    def foreign(self, table: str, columns: dict[str, str], required: tuple[str, ...] = ()) -> None:
        """Write down what someone else does to a table."""
        self._write({"foreign": {"table": table, "columns": columns, "required": required}})

    def sent(self, step: Step) -> None:
        """Write down a request that is about to be sent."""
        fields = step._asdict()
        fields["bodies"] = [each.decode() for each in step.bodies]
        del fields["valid"], fields["repeats"]
        self._write({"sent": fields})

    def answered(self, step: Step, statuses: list[int]) -> None:
        """Write down a request's answers, one for each body."""
        pairs = [(status, id_of(step, place)) for place, status in enumerate(statuses)]
        answered = {"stream": step.stream, "number": step.number, "verdicts": pairs}
        self._write({"answered": answered})

    def _write(self, fields: dict[str, Any]) -> None:
        self._file.write(json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


@dataclass
class History:
    """A journal as read: the transactions of every stream, in order, and what others did."""

    streams: dict[str, list[Sent]] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)

    def accepted(self) -> dict[Key, Sent]:
        """Return the transactions that were answered 200, each once, as first sent."""
        found: dict[Key, Sent] = {}
        for sent in self.all():
            if sent.status == ACCEPTED:
                found.setdefault(sent.key, sent)
        return found

    def all(self) -> Iterator[Sent]:
        """Yield everything that was sent, a stream after the other."""
        for stream in self.streams.values():
            yield from stream


def read(path: Path) -> History:
    """Read a journal, also one that breaks off. Raises InvalidJournal and OSError."""
    history = History()
    answers: dict[tuple[str, int], list[list[Any]]] = {}
    asked: list[dict[str, Any]] = []
    with path.open() as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                break  # the writer was cut off
            try:
                (what, fields), *more = json.loads(line).items()
                if more:
                    raise ValueError("one field is expected")  # noqa: TRY301  # one place says which line
                match what:
                    case "sent":
                        asked.append(fields)
                    case "answered":
                        answers[fields["stream"], fields["number"]] = fields["verdicts"]
                    case "foreign":
                        history.foreign.append(
                            Foreign(fields["table"], fields["columns"], tuple(fields["required"]))
                        )
                    case _:
                        raise ValueError(f"unknown field {what}")  # noqa: TRY301  # as above
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidJournal(f"{path}:{number}: no line of a journal: {error}") from None
    for fields in asked:
        _add(history, fields, answers.get((fields["stream"], fields["number"])))
    return history


def _add(history: History, fields: dict[str, Any], verdicts: list[list[Any]] | None) -> None:
    batch, key, source = fields["batch"], fields["key"], fields["source"]
    transactions = history.streams.setdefault(fields["stream"], [])
    for place, text in enumerate(fields["bodies"]):
        data = text.encode()
        transactions.append(
            Sent(
                stream=fields["stream"],
                number=fields["number"],
                kind=fields["kind"],
                id=derive_id(source, f"{key}/{place + 1}" if batch else key),
                sha256=sha256(data).hexdigest(),
                data=data,
                status=verdicts[place][0] if verdicts else None,
            )
        )
