"""The slots of one worker, as its leases tell: which has one, which waits there, whose slot it gets.

A worker of ours is given more very short jobs than it has slots for; they wait with it, in order.
"""

from collections import deque
from typing import NamedTuple

from attrs import Factory, define

from events.ids import LeaseId


class Left(NamedTuple):
    """Who left a slot, and when."""

    lease: LeaseId
    at: float


@define(eq=False)
class Bench:
    """`vacated`: who has left since the bench was last full, as long as nobody took the place."""

    seated: dict[LeaseId, None] = Factory(dict)
    waiting: deque[LeaseId] = Factory(deque)
    vacated: list[Left] = Factory(list)

    def sit(self, lease: LeaseId, slots: int) -> bool:
        """Take a slot, or wait for one; returns whether there was one."""
        if len(self.seated) >= max(1, slots):
            self.waiting.append(lease)
            return False
        self.seated[lease] = None
        return True

    def predecessor(self, since: float) -> LeaseId | None:
        """Who had the slot that was just taken, if it was not free ever since."""
        if self.vacated and self.vacated[-1].at > since:
            return self.vacated.pop().lease
        return None

    def rise(self, lease: LeaseId, slots: int, at: float) -> LeaseId | None:
        """Leave; returns who gets the slot."""
        if lease not in self.seated:
            self.waiting.remove(lease)
            return None
        if len(self.seated) >= max(1, slots):
            self.vacated.clear()
            self.vacated.append(Left(lease, at))
        elif self.vacated:
            self.vacated.append(Left(lease, at))
        del self.seated[lease]
        if not self.waiting:
            return None
        following = self.waiting.popleft()
        self.seated[following] = None
        self.vacated.pop()
        return following
