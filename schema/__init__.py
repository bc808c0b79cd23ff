"""The rule: what a transaction is, and how it travels. Pure: no I/O, no environment, no clock."""

from schema.activity import Activity, Transaction
from schema.faults import Fault, InvalidSchema
from schema.message import (
    InvalidMessage,
    Message,
    attributes,
    compose,
    derive_id,
    new_id,
    publish_calls,
    read,
)
from schema.payload import check, check_body
from schema.rules import RULES, Rule
from schema.strict_json import InvalidJSON, loads
from schema.types import BadValue, ColumnType, UnknownType, canonical, parse_type

__all__ = [
    "RULES",
    "Activity",
    "BadValue",
    "ColumnType",
    "Fault",
    "InvalidJSON",
    "InvalidMessage",
    "InvalidSchema",
    "Message",
    "Rule",
    "Transaction",
    "UnknownType",
    "attributes",
    "canonical",
    "check",
    "check_body",
    "compose",
    "derive_id",
    "loads",
    "new_id",
    "parse_type",
    "publish_calls",
    "read",
]
