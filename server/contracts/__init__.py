"""Contracts at the gate: which transactions they refuse, and a record of all that break them.

It must not know of requests, nor of how a transaction is published.
"""

from server.contracts.contract_gate import CONTRACT_GATE, ContractGate, open_contract_gate
from server.contracts.violation_store import (
    ViolationCount,
    ViolationStore,
    violations_file,
)

__all__ = [
    "CONTRACT_GATE",
    "ContractGate",
    "ViolationCount",
    "ViolationStore",
    "open_contract_gate",
    "violations_file",
]
