from pathlib import Path

import pytest

from ops.notify import InvalidReceivers, Receiver, Receivers, read_receivers
from ops.runtime.api_keys import mint
from schema.contracts import ContractColumn, TableContract

KEY_URL, TABLE_URL = "https://a.example/key", "https://a.example/table"
RECEIVERS = Receivers({"shop": KEY_URL}, {"orders": TABLE_URL})


@pytest.mark.parametrize(
    ("source", "tables", "expected"),
    [
        ("shop", ("lines", "orders"), {TABLE_URL: "orders", KEY_URL: "lines"}),
        ("shop", (), {KEY_URL: ""}),
        ("other", ("orders", "lines"), {TABLE_URL: "orders"}),
        ("other", ("lines",), {}),
    ],
)
def test_a_rejection_goes_to_its_key_and_to_its_tables(
    source: str, tables: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert RECEIVERS.of(source, tables) == expected


def test_one_url_of_key_and_table_is_notified_once() -> None:
    both = Receivers({"shop": TABLE_URL}, {"orders": TABLE_URL, "lines": TABLE_URL})
    assert both.of("shop", ("lines", "orders")) == {TABLE_URL: "lines"}


def test_they_are_read_from_the_keys_and_the_contracts(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    keys = [mint("shop", "", notify=KEY_URL)[1], mint("quiet", "")[1]]
    file.write_text("".join(key.line() for key in keys))
    contract = TableContract(
        table="orders",
        contract="orders",
        id="1",
        version="1.0.0",
        status="active",
        columns=(ContractColumn(name="a", declared="TEXT"),),
        notify=TABLE_URL,
    )
    assert read_receivers(file, [contract]).all() == [
        Receiver("key", "shop", KEY_URL),
        Receiver("table", "orders", TABLE_URL),
    ]
    assert read_receivers(None, []).all() == []


def test_keys_that_cannot_be_read_leave_unknown_who_is_notified(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("no key\n")
    with pytest.raises(InvalidReceivers, match="line 1"):
        read_receivers(file, [])
