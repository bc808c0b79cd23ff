"""The sample shop: its file is what its program makes, and fits the contracts."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from examples.shop_faults import FAULTS
from examples.shop_history import FAULTY, FILE, TRANSACTIONS, body, lines, valid_history
from ops.commands.contract.contract_lint import lint
from ops.fleet.config import ROOT
from schema import (
    CONTRACT_RULES,
    RULES,
    InvalidJSON,
    InvalidSchema,
    Transaction,
    check_body,
)
from schema.contracts import ContractSet, UnknownTables, open_key_faults, with_primary_key
from tests.support.plain_rows import Row, apply_activities

NOT_BY_THE_SCHEMA = {"not JSON", "table_missing", "column_missing", "type_conflict"}


@pytest.fixture(scope="module")
def contracts() -> ContractSet:
    """Return the repository's contracts as servers have them that report unknown tables."""
    found = lint([ROOT / "contracts"])
    assert not found.faults
    return ContractSet(found.contracts, UnknownTables.REPORT, b"k" * 32)


def broken_rules(contracts: ContractSet, text: str) -> set[tuple[str, bool]]:
    """Return the rules that a body breaks, each with whether it is refused for that."""
    try:
        transaction = check_body(text.encode())
    except InvalidJSON:
        return {("not JSON", True)}
    except InvalidSchema as invalid:
        return {(fault.rule, True) for fault in invalid.faults}
    keys = {(fault.rule, True) for fault in open_key_faults(transaction, contracts.tables)}
    violations = (
        *contracts.violations(transaction),
        *contracts.transforms.violations(transaction),
    )
    return keys | {(each.rule, each.refused) for each in violations}


def test_the_file_is_what_the_program_makes() -> None:
    assert FILE.read_text() == "".join(lines()), "run: python -m examples.shop_history"


def test_three_of_a_hundred_transactions_have_a_fault_of_every_kind(contracts: ContractSet) -> None:
    rules = Counter[tuple[str, bool]]()
    sound = 0
    for line in FILE.read_text().splitlines():
        found = broken_rules(contracts, line)
        rules.update(found)
        sound += not found
    assert {rule for rule, _ in rules} == {"not JSON", *RULES, *CONTRACT_RULES}
    for_workers = 2 * (FAULTY // len(FAULTS))  # in mode `evolve` the gate accepts them
    assert TRANSACTIONS - FAULTY <= sound <= TRANSACTIONS - FAULTY + for_workers + 2
    assert FAULTY == 0.03 * TRANSACTIONS
    assert min(rules.values()) >= FAULTY // len(FAULTS)


def test_the_documents_have_the_files_counts(contracts: ContractSet) -> None:
    by_line = [broken_rules(contracts, line) for line in FILE.read_text().splitlines()]
    rejected = sum(any(refused for _, refused in found) for found in by_line)
    rules = Counter(rule for found in by_line for rule in found if rule[0] in CONTRACT_RULES)
    refused = sum(count for (_, is_refused), count in rules.items() if is_refused)
    # Without UNKNOWN_TABLES=report a table without a contract is not reported.
    reported = rules.total() - refused - rules["contract_table", False]
    text = (ROOT / "docs" / "contracts.md").read_text()
    assert f"# {TRANSACTIONS - rejected:,} accepted, {rejected} rejected, listed" in text
    assert f"# {refused} violations refused, {reported} reported" in text


@pytest.mark.parametrize("kind", sorted(FAULTS.keys() - NOT_BY_THE_SCHEMA))
def test_a_kind_of_fault_breaks_the_rule_that_it_names(contracts: ContractSet, kind: str) -> None:
    for number in range(FAULTY // len(FAULTS) + 1):
        made = FAULTS[kind](number)
        found = broken_rules(contracts, made if isinstance(made, str) else body(made))
        if kind.startswith("reported "):
            assert found == {(f"contract_{kind.removeprefix('reported ')}", False)}
        else:
            assert (kind.split(maxsplit=1)[0], True) in found


def keyed(contracts: ContractSet, transaction: Transaction) -> Iterator[Any]:
    for activity in transaction.activities:
        contract = contracts.tables[activity.table]
        yield with_primary_key(activity, contract) if activity.has_open_key else activity


@pytest.fixture(scope="module")
def tables(contracts: ContractSet) -> Mapping[str, list[Row]]:
    """Return the rows after the valid history, applied one by one."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for payload in valid_history(TRANSACTIONS // 4, Random(7)):
        for activity in keyed(contracts, check_body(body(payload).encode())):
            apply_activities(rows[activity.table], [activity])
    return rows


def test_valid_transactions_break_no_contract(contracts: ContractSet) -> None:
    for payload in valid_history(TRANSACTIONS, Random(7)):
        assert not broken_rules(contracts, body(payload)), payload


def test_no_table_has_two_rows_with_one_primary_key(
    contracts: ContractSet, tables: Mapping[str, list[Row]]
) -> None:
    for name, rows in tables.items():
        key = contracts.tables[name].primary_key
        assert len({tuple(row[part] for part in key) for row in rows}) == len(rows) > 0


def test_the_lines_and_the_payments_of_an_order_have_its_total(
    tables: Mapping[str, list[Row]],
) -> None:
    items: dict[Any, Decimal] = defaultdict(Decimal)
    for row in tables["items"]:
        items[row["order_id"]] += Decimal(row["price"] or 0) * int(row["quantity"] or 0)
    paid = {row["order_id"]: Decimal(row["amount"] or 0) for row in tables["payments"]}
    states = Counter(row["status"] for row in tables["orders"])
    assert set(states) == {"placed", "paid", "shipped", "returned", "cancelled"}
    for row in tables["orders"]:
        total = Decimal(row["total"] or 0)
        assert items[row["id"]] == total
        assert (row["id"] in paid) == (row["status"] in {"paid", "shipped", "returned"})
        assert paid.get(row["id"], total) == total


def test_what_touches_an_order_names_orders_first() -> None:
    for payload in valid_history(TRANSACTIONS, Random(7)):
        named = [each["table"] for each in payload["activities"]]
        assert named[0] == "orders" or named == ["customers"]
