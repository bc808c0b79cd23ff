from hypothesis import given
from hypothesis import strategies as st

from workers.part_size import MAX_BATCH, PartSize


def test_all_are_taken_until_a_part_fails() -> None:
    assert PartSize().next() == MAX_BATCH


def test_a_lone_suspect_comes_after_what_is_before_it_and_then_alone() -> None:
    size = PartSize()
    size.search([7])
    assert size.next() == 7
    size.committed(7)
    assert size.next() == 1


@given(st.data(), st.integers(2, 300))
def test_the_offender_is_alone_after_few_parts(data: st.DataObject, messages: int) -> None:
    """Parts with the offender fail, and the suspects are again those of the part."""
    places = st.sets(st.integers(0, messages - 1), min_size=1)
    suspects = data.draw(places)
    offender = data.draw(st.sampled_from(sorted(suspects)))
    size, start, end, parts = PartSize(), 0, messages, 0
    size.search(sorted(suspects))
    while (start, end) != (offender, offender + 1):
        end = start + size.next()
        parts += 1
        if start <= offender < end:
            size.search([place - start for place in sorted(suspects) if start <= place < end])
        else:
            size.committed(end - start)
            start = end
            assert size.next() < MAX_BATCH
    assert parts <= 2 * len(suspects).bit_length() + 1
