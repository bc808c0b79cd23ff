"""The journal of a load: its requests and their answers, a JSON object a line, written as it runs.

A request is written before it is sent and again when it is answered, so that a journal which ends
during the load still has everything that may have been accepted. The requests of a stream are in
the order of sending.

  {"fleet": {"lanes": …}}                                                  the first line
  {"foreign": {"table": …, "columns": {name: type}, "required": [name]}}   someone else's table
  {"sent": {"stream", "number", "kind", "source", "key", "ordering_key", "batch", "bodies"}}
  {"answered": {"stream", "number", "verdicts": [[status, id], …]}}        a pair for each body
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ops.trial.client_stream import Step
from schema import LANES, InvalidJSON, InvalidSchema, check_body, derive_id

ACCEPTED = 200

type SentKey = tuple[str, str]
"""A transaction: its id and the SHA-256 of its body, hexadecimal."""


class InvalidJournal(ValueError):
    """The file is not a journal; the text names the line."""


class Foreign(NamedTuple):
    """A table that someone else created or changed."""

    table: str
    columns: dict[str, str]
    required: tuple[str, ...]


class Sent(NamedTuple):
    """One transaction that was sent, and its answer's status; None if there was no answer."""

    stream: str
    number: int
    kind: str
    id: str
    sha256: str
    data: bytes
    status: int | None

    @property
    def key(self) -> SentKey:
        return self.id, self.sha256


def _id(fields: Mapping[str, Any], place: int, body: bytes, lanes: int) -> str:
    """Return the id; by default the ordering key is the first table. An invalid body has no id."""
    try:
        default = check_body(body).default_ordering_key
    except (InvalidJSON, InvalidSchema):
        default = ""
    key = f"{fields['key']}/{place + 1}" if fields["batch"] else fields["key"]
    return derive_id(fields["source"], fields["ordering_key"] or default, key, lanes)


class Journal(AbstractContextManager["Journal"]):
    """The file being written; `lanes` are those of the fleet, which its ids begin with."""

    def __init__(self, path: Path, lanes: int = LANES) -> None:
        self._lanes = lanes
        self._file = path.open("w")
        self._write("fleet", {"lanes": lanes})

    def id_of(self, step: Step, place: int) -> str:
        """Return the id of one body of a request; in a batch each line has its own."""
        return _id(step._asdict(), place, step.bodies[place], self._lanes)

    def foreign(self, table: str, columns: dict[str, str], required: tuple[str, ...] = ()) -> None:
        """Record what someone else does to a table."""
        self._write("foreign", {"table": table, "columns": columns, "required": required})

    def sent(self, step: Step) -> None:
        """Record a request before it is sent."""
        fields = step._asdict()
        fields["bodies"] = [each.decode() for each in step.bodies]
        del fields["valid"], fields["repeats"]
        self._write("sent", fields)

    def answered(self, step: Step, statuses: list[int]) -> None:
        """Record a request's answers, one for each body."""
        pairs = [(status, self.id_of(step, place)) for place, status in enumerate(statuses)]
        fields = {"stream": step.stream, "number": step.number, "verdicts": pairs}
        self._write("answered", fields)

    def _write(self, what: str, fields: dict[str, Any]) -> None:
        line = json.dumps({what: fields}, ensure_ascii=False, separators=(",", ":"))
        self._file.write(line + "\n")

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass
class History:
    """A journal as read: the transactions of every stream, in order, and what others did."""

    streams: dict[str, list[Sent]] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    lanes: int = LANES

    def accepted(self) -> dict[SentKey, Sent]:
        """Return the transactions that were answered 200, each once, as first sent."""
        found: dict[SentKey, Sent] = {}
        for sent in self.all():
            if sent.status == ACCEPTED:
                found.setdefault(sent.key, sent)
        return found

    def all(self) -> Iterator[Sent]:
        """Yield every transaction that was sent, one stream after another."""
        for stream in self.streams.values():
            yield from stream


def read(path: Path) -> History:
    """Read a journal, also one that was cut off. Raises InvalidJournal and OSError."""
    history = History()
    answers: dict[tuple[str, int], list[list[Any]]] = {}
    requests: list[dict[str, Any]] = []
    with path.open(errors="backslashreplace") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith("\n"):
                break  # cut off
            try:
                _parse(line, history, requests, answers)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidJournal(f"{path}:{number}: no line of a journal: {error}") from None
    for fields in requests:
        answer = answers.get((fields["stream"], fields["number"]))
        stream = history.streams.setdefault(fields["stream"], [])
        stream += _sent(fields, answer, history.lanes)
    return history


def _parse(
    line: str,
    history: History,
    requests: list[dict[str, Any]],
    answers: dict[tuple[str, int], list[list[Any]]],
) -> None:
    ((what, fields),) = json.loads(line).items()
    match what:
        case "fleet":
            history.lanes = fields["lanes"]
        case "sent":
            requests.append(fields)
        case "answered":
            answers[fields["stream"], fields["number"]] = fields["verdicts"]
        case "foreign":
            columns, required = fields["columns"], tuple(fields["required"])
            history.foreign.append(Foreign(fields["table"], columns, required))
        case _:
            raise ValueError(f"unknown field {what}")


def _sent(fields: dict[str, Any], verdicts: list[list[Any]] | None, lanes: int) -> Iterator[Sent]:
    for place, text in enumerate(fields["bodies"]):
        data = text.encode()
        yield Sent(
            stream=fields["stream"],
            number=fields["number"],
            kind=fields["kind"],
            id=_id(fields, place, data, lanes),
            sha256=sha256(data).hexdigest(),
            data=data,
            status=verdicts[place][0] if verdicts else None,
        )
