"""The load of a trial: streams of requests, which the seed alone decides."""

import random
from collections.abc import Iterator

from ops.trial.client_stream import (
    COLUMNS,
    LONG,
    SHARED,
    SOURCES,
    ClientStream,
    Step,
    Values,
    activity,
    body,
)
from ops.trial.request_kinds import ALONE, KINDS, RARE

MOST_STREAMS = 36
RARE_IN = LONG
"""A stream with more transactions sends rare kinds no more often than one of this length."""


def setup(seed: int) -> list[Step]:
    """Return what makes the shared tables: a transaction each, to be settled before the load."""
    values: Values = {name: (declared, None) for name, declared in COLUMNS.items()}
    steps = []
    for number, table in enumerate(SHARED):
        row = {**values, "stream": ("TEXT", "setup"), "n": ("INTEGER", number)}
        data = body(activity("insert", table, row))
        key = f"{seed}-setup-{number}"
        steps.append(Step("setup", SOURCES[0], number, "setup", key, "setup", (data,), (True,)))
    return steps


def streams(transactions: int, seed: int) -> list[ClientStream]:
    """Return the streams; together they send `transactions`, and each kind at least once."""
    count = max(6, min(MOST_STREAMS, transactions // 100))
    kinds: list[list[str]] = [[] for _ in range(count)]
    order = random.Random(f"{seed}/kinds").sample(sorted(KINDS), len(KINDS))  # noqa: S311  # a plan, no secret
    together = [number for number in range(count) if not _alone(number)]
    for place, kind in enumerate(order):
        kinds[together[place % len(together)]].append(kind)
    share, rest = divmod(transactions, count)
    return [
        ClientStream(number, share + (number < rest), seed, kinds[number], alone=_alone(number))
        for number in range(count)
    ]


def _alone(number: int) -> bool:
    return number % 6 == 5  # noqa: PLR2004


def steps(stream: ClientStream) -> Iterator[Step]:
    """Yield a stream's requests in order, once; fewer, if its `transactions` become fewer."""
    sent = 0
    if stream.alone and stream.transactions:  # before anything is deleted from its table
        yield stream.step("insert", [stream.insert(stream.own, all_columns=True)])
        sent += 1
    kinds = [kind for kind in KINDS if not stream.alone or kind in ALONE]
    rarely = min(1.0, RARE_IN / max(stream.transactions, 1))
    weights = [KINDS[kind][0] * (rarely if kind in RARE else 1.0) for kind in kinds]
    while (left := stream.transactions - sent) > 0:
        kind = stream.first.pop() if stream.first else stream.chance.choices(kinds, weights)[0]
        for step in KINDS[kind][1](stream, left):
            yield step
            sent += 0 if step.repeats else sum(step.valid)
