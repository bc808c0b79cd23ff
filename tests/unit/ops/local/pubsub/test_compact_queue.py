from hypothesis import given
from hypothesis import strategies as st

from ops.local.pubsub.compact_queue import CompactQueue, pack, seq_of, size_of

MAX_MESSAGE_BYTES = 10_000_000


@given(st.integers(0, 2**38), st.integers(0, MAX_MESSAGE_BYTES))
def test_an_entry_holds_sequence_number_and_size(seq: int, size: int) -> None:
    entry = pack(seq, size)
    assert entry < 2**63
    assert (seq_of(entry), size_of(entry)) == (seq, size)


@given(st.lists(st.sampled_from(["push", "pop", "back", "drop"]), max_size=200))
def test_it_behaves_like_a_sorted_list(steps: list[str]) -> None:
    queue = CompactQueue()
    model: list[int] = []
    taken: list[int] = []
    number = 0
    for step in steps:
        if step == "push":
            number += 1
            queue.push(pack(number, 7))
            model.append(number)
        elif step == "pop" and model:
            taken.append(model.pop(0))
            assert seq_of(queue.pop()) == taken[-1]
        elif step == "back" and taken:
            queue.push_front([pack(x, 7) for x in taken])
            model[:0] = taken
            taken = []
        elif step == "drop" and model:
            middle = model[len(model) // 2]
            assert queue.drop_through(middle) == len(model) // 2 + 1
            model = model[len(model) // 2 + 1 :]
            taken = [x for x in taken if x > middle]
        assert [seq_of(entry) for entry in queue._entries[queue._head :]] == model
        assert all(queue.has(x) == (x in model) for x in range(number + 2))


def test_a_taken_entry_frees_its_memory() -> None:
    queue = CompactQueue()
    for n in range(100_000):
        queue.push(pack(n, 1))
    for _ in range(100_000):
        queue.pop()
    assert len(queue) == 0
    assert len(queue._entries) < 10_000
