"""`; did you mean `item`?`: the known name that is most like one that is not known.

Clients choose the names, so the work is bounded: a full comparison takes a tenth of a millisecond.
"""

from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nsmallest
from typing import Final

MAX_SUGGESTIONS: Final = 3
"""Names of one activity, and violations of one transaction, that suggestions are looked up for."""
_NEAR_IN_LENGTH: Final = 100
_NEAR_IN_LETTERS: Final = 5


def close_to(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean `item`?`, or nothing where no known name is like this one."""
    by_fold = {each.casefold(): each for each in known}
    folded = name.casefold()
    letters = Counter(folded)

    def other_letters(each: str) -> int:
        return (letters - Counter(each)).total() + (Counter(each) - letters).total()

    near = nsmallest(_NEAR_IN_LENGTH, by_fold, key=lambda each: abs(len(each) - len(folded)))
    near = nsmallest(_NEAR_IN_LETTERS, near, key=other_letters)
    close = get_close_matches(folded, near, 1)
    return f"; did you mean `{by_fold[close[0]]}`?" if close else ""
