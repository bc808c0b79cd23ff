from ops.local.pubsub.compact_queue import pack, seq_of
from ops.local.pubsub.unordered_queue import UnorderedQueue


def queue_of(*seqs: int) -> UnorderedQueue:
    queue = UnorderedQueue()
    for seq in seqs:
        queue.push(pack(seq, 1))
    return queue


def drain(queue: UnorderedQueue) -> list[int]:
    return [seq_of(queue.pop()) for _ in range(len(queue))]


def test_a_returned_message_comes_before_new_ones() -> None:
    queue = queue_of(2, 3)
    queue.give_back(pack(1, 1), ready_at=5, now=5)
    assert drain(queue) == [1, 2, 3]


def test_a_message_in_backoff_is_ready_when_it_ends() -> None:
    queue = queue_of(2)
    queue.give_back(pack(1, 1), ready_at=7, now=5)
    assert queue.next_ready() == 7
    queue.end_backoffs(6)
    assert len(queue) == 1
    queue.end_backoffs(7)
    assert queue.next_ready() is None
    assert drain(queue) == [1, 2]


def test_only_new_messages_were_never_delivered() -> None:
    queue = queue_of(2)
    queue.give_back(pack(1, 1), ready_at=5, now=5)
    assert queue.has_new(2)
    assert not queue.has_new(1)


def test_dropping_removes_new_returned_and_delayed_messages() -> None:
    queue = queue_of(3, 6)
    for seq, ready_at in ((1, 5), (4, 5), (2, 9), (5, 9)):
        queue.give_back(pack(seq, 1), ready_at, now=5)
    assert queue.drop_through(3) == 3
    queue.end_backoffs(9)
    assert drain(queue) == [4, 5, 6]
