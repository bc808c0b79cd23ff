import asyncio

from server.publish.queue import Backlog, Entry


def entry(key: str, name: str, size: int = 1) -> Entry:
    loop = asyncio.new_event_loop()
    try:
        return Entry(key, name, size, 0.0, loop.create_future())
    finally:
        loop.close()


def names(entries: list[Entry] | None) -> list[str]:
    return [] if entries is None else [each.message for each in entries]


def test_a_call_takes_all_that_waits_for_one_key_in_order() -> None:
    backlog = Backlog()
    for name in ("a1", "b1", "a2", "a3"):
        backlog.add(entry(name[0], name))

    assert names(backlog.take()) == ["a1", "a2", "a3"]
    assert names(backlog.take()) == ["b1"]
    assert backlog.take() is None


def test_a_key_in_a_call_is_not_taken_again_before_its_release() -> None:
    backlog = Backlog()
    backlog.add(entry("a", "a1"))
    backlog.take()
    backlog.add(entry("a", "a2"))
    backlog.add(entry("b", "b1"))

    assert names(backlog.take()) == ["b1"]
    assert backlog.take() is None
    backlog.release("a")
    assert names(backlog.take()) == ["a2"]


def test_a_call_holds_as_many_messages_and_bytes_as_it_may() -> None:
    backlog = Backlog(max_messages=3, max_bytes=10)
    for name, size in (("1", 4), ("2", 4), ("3", 4), ("4", 1), ("5", 1), ("6", 1), ("7", 99)):
        backlog.add(entry("k", name, size))

    taken = []
    while entries := backlog.take():
        taken.append(names(entries))
        backlog.release("k")
    # A message that alone is past the limit still goes; the service has the last word.
    assert taken == [["1", "2"], ["3", "4", "5"], ["6"], ["7"]]


def test_keys_are_served_in_turn_however_much_one_of_them_has() -> None:
    backlog = Backlog(max_messages=2)
    for number in range(6):
        backlog.add(entry("busy", f"busy{number}"))
    backlog.add(entry("calm", "calm0"))

    assert names(backlog.take()) == ["busy0", "busy1"]
    backlog.release("busy")
    assert names(backlog.take()) == ["calm0"]
    assert names(backlog.take()) == ["busy2", "busy3"]


def test_the_backlog_knows_what_waits() -> None:
    backlog = Backlog()
    for size in (5, 7):
        backlog.add(entry("k", "", size))
    assert backlog.messages == 2
    backlog.take()
    assert backlog.messages == 0
    backlog.release("k")
    assert backlog.take() is None


def test_what_waits_for_a_taken_key_can_be_dropped() -> None:
    backlog = Backlog()
    backlog.add(entry("a", "a1"))
    backlog.take()
    backlog.add(entry("a", "a2"))
    backlog.add(entry("b", "b1"))

    assert names(backlog.drop("a")) == ["a2"]
    backlog.release("a")
    assert names(backlog.take()) == ["b1"]
    assert backlog.take() is None
    assert backlog.messages == 0
