from schema.contracts import close_to


def test_a_similar_name_is_suggested_as_it_is_written() -> None:
    assert close_to("ITME", ["Item", "price"]) == "; did you mean `Item`?"


def test_nothing_is_suggested_where_no_name_is_like_it() -> None:
    assert close_to("zzz", ["item"]) == ""
    assert close_to("zzz", []) == ""
