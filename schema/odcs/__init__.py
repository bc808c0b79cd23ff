"""Reads contracts in the Open Data Contract Standard, v3.1: YAML texts to `schema.contracts`.

https://bitol-io.github.io/open-data-contract-standard/v3.1.0/. The parser is the standard's own
pydantic model. Its import takes a second: import this package only where a file is to be read, and
let every other process read what was compiled (`ops.runtime.contract_files`).
"""

from schema.contracts import TableContract
from schema.odcs.custom_properties import TABLE_PROPERTIES, CustomProperties, is_label
from schema.odcs.document import API_VERSION, ContractFile
from schema.odcs.table import KEY_TYPES, MAX_KEY_COLUMNS, PARTITION_TYPES, TableReader

__all__ = [
    "API_VERSION",
    "KEY_TYPES",
    "MAX_KEY_COLUMNS",
    "PARTITION_TYPES",
    "is_label",
    "read_contracts",
]


def read_contracts(file: str, text: str) -> list[TableContract]:
    """Return the contracts of a file's tables, in the file's order; `file` names it in faults.

    Raises InvalidContracts with every fault, in the order of the lines.
    """
    reading = ContractFile(file)
    document = reading.load(text)
    properties = CustomProperties(reading, document.customProperties, (), TABLE_PROPERTIES)
    reader = TableReader(reading, document, properties)
    contracts = [
        reader.read(each, ("schema", index)) for index, each in enumerate(document.schema_ or ())
    ]
    reading.raise_faults()
    return contracts
