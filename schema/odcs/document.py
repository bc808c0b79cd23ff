"""A contract's YAML text as the standard's pydantic model, with the line of every field.

Only the compiler of contracts imports this: pydantic takes a tenth of a second and 30 MB.
"""

from collections.abc import Hashable, Iterator, Sequence
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from schema.contracts import ContractFault, InvalidContracts, close_to

type FieldPath = tuple[Hashable, ...]

REQUIRED: Final = ("apiVersion", "kind", "id", "version", "status")
"""https://bitol-io.github.io/open-data-contract-standard/latest/fundamentals/"""
API_VERSION: Final = "v3.1.0"


class _Loader(yaml.CSafeLoader):
    """Keeps dates as texts: the standard has strings there."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class ContractFile:
    """One file while it is read: its faults gather here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[ContractFault] = []
        self._root: yaml.Node | None = None

    def fault(self, path: Sequence[Hashable], message: str) -> None:
        """Add a fault at a path; its line is that of the last step that is there."""
        self.faults.append(ContractFault(self.name, self.line(path), _dotted(path), message))

    def line(self, path: Sequence[Hashable]) -> int:
        line, node = 1, self._root
        for step in path:
            found = _child(node, step)
            if found is not None:
                line, node = found
        return line

    def raise_faults(self) -> None:
        if self.faults:
            # A default of the contract is judged for each of its tables.
            faults = dict.fromkeys(self.faults)
            raise InvalidContracts(sorted(faults, key=lambda fault: fault.line))

    def load(self, text: str) -> OpenDataContractStandard:
        """Return the document. Raises InvalidContracts with every fault of its form."""
        data = self._data(text)
        if not isinstance(data, dict):
            self.fault((), "a contract is a mapping: apiVersion, kind, id, version, status, schema")
        self.raise_faults()
        for path, message in _unknown_fields(data, OpenDataContractStandard, ()):
            self.fault(path, message)
        for name in REQUIRED:
            if data.get(name) in (None, ""):
                self.fault((name,), f"the field {name} is missing")
        try:
            document = OpenDataContractStandard.model_validate(data)
        except ValidationError as invalid:
            for error in invalid.errors(include_url=False):
                if error["type"] != "extra_forbidden":  # named above
                    self.fault(error["loc"], error["msg"])
            self.raise_faults()
            raise
        if document.apiVersion not in {None, API_VERSION}:
            self.fault(("apiVersion",), f"{document.apiVersion} is not supported: {API_VERSION} is")
        if document.kind not in {None, "DataContract"}:
            self.fault(("kind",), "the kind is DataContract")
        return document

    def _data(self, text: str) -> Any:
        try:
            loader = _Loader(text)
            try:
                self._root = loader.get_single_node()
                for path in _duplicate_keys(self._root, ()):
                    self.fault(path, "the field is there twice")
                return None if self._root is None else loader.construct_document(self._root)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = ": ".join(filter(None, (error.context, error.problem)))
            line = mark.line + 1 if mark else 1
            self.faults.append(ContractFault(self.name, line, "", f"this is not YAML: {problem}"))
        except (yaml.YAMLError, RecursionError) as error:
            self.faults.append(ContractFault(self.name, 1, "", f"this is not YAML: {error}"))
        self.raise_faults()
        return None


def _dotted(path: Sequence[Hashable]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _child(node: yaml.Node | None, step: Hashable) -> tuple[int, yaml.Node] | None:
    """Return the line of a step from a node, and the node there."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return child.start_mark.line + 1, child
    return None


def _duplicate_keys(node: yaml.Node | None, path: FieldPath) -> Iterator[FieldPath]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*path, key.value)
            elif isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            yield from _duplicate_keys(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _duplicate_keys(value, (*path, index))


def _unknown_fields(
    value: Any, model: type[BaseModel], path: FieldPath
) -> Iterator[tuple[FieldPath, str]]:
    """Find fields that the standard does not have: the model would drop them silently."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, held in value.items():
        if key not in fields:
            yield (*path, key), f"the standard has no field `{key}`{close_to(str(key), [*fields])}"
            continue
        for part, inner in _models(held, fields[key].annotation):
            own = (*path, key) if part is None else (*path, key, part)
            yield from _unknown_fields(held if part is None else held[part], inner, own)


def _models(held: Any, annotation: Any) -> Iterator[tuple[int | None, type[BaseModel]]]:
    """Yield each mapping in a field's value with its model: the value itself, or by its index."""
    if get_origin(annotation) in {Union, UnionType}:
        for each in get_args(annotation):
            yield from _models(held, each)
    elif get_origin(annotation) is list and isinstance(held, list):
        for index, element in enumerate(held):
            for _, model in _models(element, get_args(annotation)[0]):
                yield index, model
    elif (
        isinstance(annotation, type)
        and issubclass(annotation, BaseModel)
        and isinstance(held, dict)
    ):
        yield None, annotation
