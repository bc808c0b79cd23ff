"""A lane's head: the one row that every commit in the lane changes, as this worker knows it."""

from dataclasses import dataclass

from ops.runtime.warehouse_errors import WarehouseUnavailable
from schema import Settled, lane_name, settled_rows
from workers.jobs import Deadline
from workers.warehouse import Warehouse


class LaneCountDiffers(Exception):
    """The dataset was provisioned with another number of lanes than LANES."""


@dataclass(slots=True, eq=False)
class LaneHead:
    """The head's epoch, and the transaction that did not finish alone with its attempts."""

    lane: int
    lanes: int
    """LANES, which the dataset must agree with."""
    _epoch: int | None = None
    _suspect: str | None = None
    _attempts: int = 0

    @property
    def known(self) -> bool:
        return self._epoch is not None

    @property
    def epoch(self) -> int:
        assert self._epoch is not None  # noqa: S101  # the caller has read it
        return self._epoch

    def moved(self) -> None:
        """Follow a commit of this worker."""
        self._epoch = self.epoch + 1

    def forget(self) -> None:
        """Another worker, or a job whose outcome is unknown, may have changed it."""
        self._epoch = None

    async def read(
        self, warehouse: Warehouse, ids: list[str], since: str, left: Deadline
    ) -> Settled:
        """Read the head and what the lane's ledger holds of the ids, in one snapshot."""
        self.forget()
        rows = await warehouse.read_lane(self.lane, ids, since, left)
        if not rows:
            raise WarehouseUnavailable(
                f"{lane_name(self.lane)} has no head: run `gatekeeper provision`"
            )
        if rows[0]["lanes"] != self.lanes:
            raise LaneCountDiffers(
                f"the dataset has {rows[0]['lanes']} lanes and LANES is {self.lanes}: "
                f"set LANES={rows[0]['lanes']}"
            )
        self._epoch = rows[0]["epoch"]
        self._suspect, self._attempts = rows[0]["suspect"], rows[0]["attempts"] or 0
        return settled_rows(row for row in rows if row["id"] is not None)

    async def note_attempt(self, warehouse: Warehouse, id_: str, left: Deadline) -> int:
        """Count an attempt at a transaction that did not finish alone; return how many it had."""
        await warehouse.note_attempt(self.lane, self.epoch, id_, left)
        self.moved()
        self._attempts = self._attempts + 1 if self._suspect == id_ else 1
        self._suspect = id_
        return self._attempts
