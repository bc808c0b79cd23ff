"""The part of one machine in a change of the whole fleet's number of workers.

Every machine has an autoscaler, and all read the same backlog. Each decides for the fleet, as far
as it is pushed, and makes the part of the change that falls to its machine. From the same numbers
all derive the same parts. While one does not see a new number yet, parts may overlap; the next
decisions correct that.
"""

from collections.abc import Mapping

from ops.runtime.pushed_metrics import read_pushed, stale_seconds
from ops.runtime.settings import Settings

AUTOSCALER_JOB = "gatekeeper_autoscaler"
_WANTED = "gatekeeper_workers_wanted"


def read_other_machines(settings: Settings, now: float, timeout: float) -> dict[str, int]:
    """Return the wanted workers of the other machines whose autoscalers push, by machine.

    Machines without workers are left out. There are none without a Pushgateway. Raises OSError if
    it is unreachable.
    """
    groups = read_pushed(settings, [_WANTED], timeout)
    return {
        group.machine: int(group.total(_WANTED))
        for group in groups
        if group.job == AUTOSCALER_JOB
        and group.machine != settings.instance
        and now - group.pushed_at <= stale_seconds(settings)
        and group.total(_WANTED) >= 1
    }


def own_number(machine: str, numbers: Mapping[str, int], wanted: int) -> int:
    """Return the workers of `machine` when all `numbers` together become `wanted`.

    Workers are added one by one where there are fewest, and removed where there are most; of equal
    ones the first by name is chosen.
    """
    parts = dict(sorted(numbers.items()))
    while (total := sum(parts.values())) != wanted:
        if total < wanted:
            parts[min(parts, key=parts.__getitem__)] += 1
        else:
            parts[max(parts, key=parts.__getitem__)] -= 1
    return parts[machine]
