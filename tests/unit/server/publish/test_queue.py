import asyncio

from server.publish.queue import PublishQueue, QueueEntry


def entry(key: str, name: str, size: int = 1) -> QueueEntry:
    loop = asyncio.new_event_loop()
    try:
        return QueueEntry(key, name, size, 0.0, loop.create_future())
    finally:
        loop.close()


def names(entries: list[QueueEntry] | None) -> list[str]:
    return [] if entries is None else [each.message for each in entries]


def test_a_call_takes_all_that_waits_for_one_key_in_order() -> None:
    queue = PublishQueue()
    for name in ("a1", "b1", "a2", "a3"):
        queue.add(entry(name[0], name))

    assert names(queue.take()) == ["a1", "a2", "a3"]
    assert names(queue.take()) == ["b1"]
    assert queue.take() is None


def test_a_key_in_a_call_is_not_taken_again_before_its_release() -> None:
    queue = PublishQueue()
    queue.add(entry("a", "a1"))
    queue.take()
    queue.add(entry("a", "a2"))
    queue.add(entry("b", "b1"))

    assert names(queue.take()) == ["b1"]
    assert queue.take() is None
    queue.release("a")
    assert names(queue.take()) == ["a2"]


def test_a_call_holds_as_many_messages_and_bytes_as_it_may() -> None:
    queue = PublishQueue(max_messages=3, max_bytes=10)
    for name, size in (("1", 4), ("2", 4), ("3", 4), ("4", 1), ("5", 1), ("6", 1), ("7", 99)):
        queue.add(entry("k", name, size))

    taken = []
    while entries := queue.take():
        taken.append(names(entries))
        queue.release("k")
    # A message that alone is past the limit still goes; the service has the last word.
    assert taken == [["1", "2"], ["3", "4", "5"], ["6"], ["7"]]


def test_keys_are_served_in_turn_however_much_one_of_them_has() -> None:
    queue = PublishQueue(max_messages=2)
    for number in range(6):
        queue.add(entry("busy", f"busy{number}"))
    queue.add(entry("calm", "calm0"))

    assert names(queue.take()) == ["busy0", "busy1"]
    queue.release("busy")
    assert names(queue.take()) == ["calm0"]
    assert names(queue.take()) == ["busy2", "busy3"]


def test_the_queue_counts_what_waits() -> None:
    queue = PublishQueue()
    for size in (5, 7):
        queue.add(entry("k", "", size))
    assert queue.messages == 2
    queue.take()
    assert queue.messages == 0
    queue.release("k")
    assert queue.take() is None


def test_what_waits_for_a_taken_key_can_be_dropped() -> None:
    queue = PublishQueue()
    queue.add(entry("a", "a1"))
    queue.take()
    queue.add(entry("a", "a2"))
    queue.add(entry("b", "b1"))

    assert names(queue.drop("a")) == ["a2"]
    queue.release("a")
    assert names(queue.take()) == ["b1"]
    assert queue.take() is None
    assert queue.messages == 0
