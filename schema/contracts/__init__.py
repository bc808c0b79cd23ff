"""Contracts: what a table looks like and what its values may be, owned by a team.

`TableContract` is the whole of a table's contract; `schema.odcs` reads it from YAML. Pure, and
quick to import: no YAML, no pydantic.
"""

from schema.contracts.column_transforms import missing_key
from schema.contracts.contract_set import ContractSet, UnknownTables
from schema.contracts.ddl import (
    column_definition,
    create_contract_table,
    string_literal,
    table_options,
)
from schema.contracts.open_keys import open_key_faults, with_primary_key
from schema.contracts.pattern import InvalidPattern, pattern_search
from schema.contracts.suggestion import close_to
from schema.contracts.table_contract import (
    ContractColumn,
    ContractFault,
    Duplicate,
    Granularity,
    InvalidContracts,
    Mode,
    Partition,
    TableContract,
    Transform,
    by_table,
)
from schema.contracts.value_rules import ValueRule, value_rules
from schema.contracts.violation import Violation

__all__ = [
    "ContractColumn",
    "ContractFault",
    "ContractSet",
    "Duplicate",
    "Granularity",
    "InvalidContracts",
    "InvalidPattern",
    "Mode",
    "Partition",
    "TableContract",
    "Transform",
    "UnknownTables",
    "ValueRule",
    "Violation",
    "by_table",
    "close_to",
    "column_definition",
    "create_contract_table",
    "missing_key",
    "open_key_faults",
    "pattern_search",
    "string_literal",
    "table_options",
    "value_rules",
    "with_primary_key",
]
