"""What a seed stands for: the farm's size, its settings, which faults are on, and how bad they are.

First is drawn which classes of faults are on at all, then their rates: so there are runs in which only one
thing goes wrong, and its bugs do not hide behind the others.
"""

import json
import random
from typing import Any

import attrs
from attrs import frozen

# On the network, for every piece of bytes.
WEATHER = ("delay", "lose_request", "lose_answer", "half_cut", "duplicate", "slicing")
# What somebody does now and then.
DEEDS = (
    "cut",
    "partition",
    "one_way",
    "swizzle",
    "freeze_worker",
    "kill_worker",
    "wipe_worker",
    "stop_worker",
    "stall_coordinator",
    "kill_coordinator",
    "kill_at_commit",
    "cut_power",
    "lose_source",
    "stop_coordinator",
    "slow_disk",
    "full_disk",
    "broken_disk",
    "clock_jump",
    "cancel_storm",
    "kill_client",
    "repeat_start",
)
# What some worker is like all the time.
TRAITS = ("liar", "small_cache", "reaper_lost", "visitor", "watcher", "passer_by")
# A cache that never has to let go of anything.
AMPLE = 1 << 30
FAULTS = (*WEATHER, *DEEDS, *TRAITS)


@frozen(kw_only=True)
class Options:
    """All that a run depends on. Times are virtual seconds; `pause` is the mean time between two deeds."""

    seed: int
    faults: tuple[str, ...] = ()
    rate: float = 0.02
    pause: float = 2.0
    fault_seconds: float = 20.0
    workers: int = 2
    slots: int = 2
    builds: int = 1
    jobs: int = 10
    job_seconds: float = 1.0
    bad_jobs: float = 0.0
    keep_going: bool = False
    latency: float = 0.0
    commit_seconds: float = 0.001
    lease_seconds: float = 5.0
    silence_seconds: float = 8.0
    losses_max: int = 3
    client_grace_seconds: float = 10.0
    page: int = 2000
    recent_records: int = 50_000
    recent_subjects: int = 256
    cache_bytes: int = AMPLE

    @classmethod
    def of(cls, seed: int) -> "Options":
        """What this seed stands for."""
        chance = random.Random(f"{seed}/options")
        share = chance.choice([0.0, 0.1, 0.25, 0.5])
        faults = tuple(fault for fault in FAULTS if chance.random() < share)
        if share and not faults:
            faults = (chance.choice(FAULTS),)
        return cls(
            seed=seed,
            faults=faults,
            rate=chance.choice([0.005, 0.02, 0.08]),
            pause=chance.choice([1.0, 3.0, 6.0]),
            fault_seconds=chance.choice([8.0, 16.0, 24.0]),
            workers=chance.choice([1, 2, 2, 3]),
            slots=chance.randint(1, 3),
            builds=chance.choice([1, 2, 2, 3]),
            jobs=chance.choice([3, 6, 10, 16]),
            job_seconds=chance.choice([0.0, 0.3, 1.0, 2.0]),
            bad_jobs=chance.choice([0.0, 0.0, 0.05, 0.2]),
            keep_going=chance.random() < 0.5,
            latency=chance.choice([0.0, 0.001, 0.02]),
            commit_seconds=chance.choice([0.0, 0.001, 0.05]),
            lease_seconds=chance.choice([3.0, 6.0, 10.0]),
            silence_seconds=chance.choice([4.0, 10.0]),
            losses_max=chance.choice([1, 2, 100]),
            client_grace_seconds=chance.choice([3.0, 10.0]),
            page=chance.choice([3, 50, 2000]),
            recent_records=chance.choice([5, 100, 50_000]),
            recent_subjects=chance.choice([1, 256]),
            cache_bytes=2000 if "small_cache" in faults else AMPLE,
        )

    @classmethod
    def from_json(cls, text: str) -> "Options":
        """Raises TypeError, ValueError."""
        return cls.from_values(json.loads(text))

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "Options":
        return cls(**{**values, "faults": tuple(values.get("faults", ()))})

    def to_json(self) -> str:
        """Everything, so that a later change of how options are drawn does not matter."""
        return json.dumps(attrs.asdict(self), separators=(",", ":"))

    def has(self, fault: str) -> bool:
        return fault in self.faults
