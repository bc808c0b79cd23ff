"""The schema rule: checks a transaction, and writes and reads it as a Pub/Sub message.

Pure: no I/O, no environment, no clock. It knows no server, no worker and no Google API.
"""

from schema.faults import Fault, InvalidSchema, value_at
from schema.json_schema import json_schemas
from schema.lanes import (
    LANES,
    MAX_LANES,
    derive_id,
    is_derived_id,
    lane_name,
    lane_of,
    lane_of_id,
    lane_of_ordering_key,
    new_id,
)
from schema.ledger import (
    LEDGER_COLUMNS,
    LEDGER_LABEL,
    LEDGER_STATES,
    LEDGER_TABLE,
    LEDGER_VERSION,
    REJECTED_COLUMNS,
    REJECTED_TABLE,
    RESUMES_TABLE,
    LedgerColumn,
    Reason,
    Rejection,
    head_table,
    ledger_table,
    rejected_table,
)
from schema.message import (
    MAX_ATTRIBUTE_BYTES,
    MAX_ATTRIBUTES,
    MAX_CALL_BYTES,
    MAX_CALL_MESSAGES,
    InvalidMessage,
    Message,
    compose_message,
    faults_of_attributes,
    has_control_character,
    publish_calls,
    read_message,
)
from schema.payload import MAX_FAULTS, check, check_body
from schema.signature import is_signed, sign
from schema.strict_json import InvalidJSON, loads
from schema.transaction import Activity, ColumnValues, Transaction
from schema.types import ColumnType, UnknownType, canonical, parse_type
from schema.validators import COLUMN_NAME, CONTRACT_RULES, RULES, TABLE_NAME, Rule
from schema.values import BadValue
from schema.webhook_url import BadWebhookUrl, check_webhook_url, is_plain

__all__ = [
    "COLUMN_NAME",
    "CONTRACT_RULES",
    "LANES",
    "LEDGER_COLUMNS",
    "LEDGER_LABEL",
    "LEDGER_STATES",
    "LEDGER_TABLE",
    "LEDGER_VERSION",
    "MAX_ATTRIBUTES",
    "MAX_ATTRIBUTE_BYTES",
    "MAX_CALL_BYTES",
    "MAX_CALL_MESSAGES",
    "MAX_FAULTS",
    "MAX_LANES",
    "REJECTED_COLUMNS",
    "REJECTED_TABLE",
    "RESUMES_TABLE",
    "RULES",
    "TABLE_NAME",
    "Activity",
    "BadValue",
    "BadWebhookUrl",
    "ColumnType",
    "ColumnValues",
    "Fault",
    "InvalidJSON",
    "InvalidMessage",
    "InvalidSchema",
    "LedgerColumn",
    "Message",
    "Reason",
    "Rejection",
    "Rule",
    "Transaction",
    "UnknownType",
    "canonical",
    "check",
    "check_body",
    "check_webhook_url",
    "compose_message",
    "derive_id",
    "faults_of_attributes",
    "has_control_character",
    "head_table",
    "is_derived_id",
    "is_plain",
    "is_signed",
    "json_schemas",
    "lane_name",
    "lane_of",
    "lane_of_id",
    "lane_of_ordering_key",
    "ledger_table",
    "loads",
    "new_id",
    "parse_type",
    "publish_calls",
    "read_message",
    "rejected_table",
    "sign",
    "value_at",
]
