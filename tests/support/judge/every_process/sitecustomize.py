"""Python runs this at the start of every process of a test run: it is on the run's PYTHONPATH.

Each process appends to its own file, in SQL_TEXTS_DIR, what the judge needs: the SQL texts
that it sends to BigQuery, with their parameters' types, and the tables' columns that it sends or
gets, in order. A line that was there before is left out until a table has changed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

_MODULE = "google.cloud._http"  # all of BigQuery's client goes through its JSONConnection

_ROOT = f"{Path(__file__).parents[4]}{os.sep}"
_ON_THE_WAY = (__file__, f"{_ROOT}ops/runtime/bigquery.py")
_OTHERS = tuple(f"{_ROOT}{each}" for each in ("tests/", "ops/commands/query.py", "ops/rig/"))


class _Recorder:
    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._written: set[str] = set()
        self._tables: dict[str, str] = {}

    def sent(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        self.table(data)
        if _is_of_others():
            return
        # jobs.insert, jobs.query, and tables.insert of a view or a table.
        query = data.get("configuration", {}).get("query") or data.get("view") or data
        if isinstance(query.get("query"), str):
            parameters = {
                each["name"]: each["parameterType"]["type"]
                for each in query.get("queryParameters", [])
            }
            self._write({"sql": query["query"], "parameters": parameters})

    def table(self, resource: Any) -> None:
        fields = resource.get("schema", {}).get("fields") if isinstance(resource, dict) else None
        if not fields or "tableReference" not in resource:
            return
        reference = resource["tableReference"]
        name = ".".join(reference[each] for each in ("projectId", "datasetId", "tableId"))
        columns = {each["name"]: each["type"] for each in fields}
        line = json.dumps(columns)
        if self._tables.get(name) != line:
            self._tables[name] = line
            self._written.clear()
            self._write({"table": name, "columns": columns})

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(record)
        if line in self._written:
            return
        self._written.add(line)
        with (self._folder / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(f"{line}\n")


def _is_of_others() -> bool:
    """Whether a test, or a user through the product, has written the text that is being sent."""
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        file = frame.f_code.co_filename
        if file.startswith(_ROOT) and "site-packages" not in file and file not in _ON_THE_WAY:
            return file.startswith(_OTHERS)
    return False


def _record(module: Any, recorder: _Recorder) -> None:
    send = module.JSONConnection.api_request

    def api_request(self: Any, *args: Any, **options: Any) -> Any:
        recorder.sent(options.get("data"))
        answer = send(self, *args, **options)
        recorder.table(answer)
        return answer

    module.JSONConnection.api_request = api_request


class _AfterImport:
    """A finder that finds nothing itself: it has the module patched once it is imported."""

    def __init__(self, recorder: _Recorder) -> None:
        self._recorder = recorder

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        del path, target
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec  # noqa: PLC0415  # few processes get here

        spec = find_spec(name)
        assert spec
        assert spec.loader
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _record(module, self._recorder)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Record what this process will send, if the environment names a folder for it."""
    if folder := os.environ.get("SQL_TEXTS_DIR"):
        sys.meta_path.insert(0, _AfterImport(_Recorder(folder)))


install()
