"""Words that everything shares which tells people about the log.

Names, errors and workers' ids come from elsewhere and are passed on as they are: whoever shows them makes
them harmless.
"""

from collections.abc import Mapping, Sequence

from events.ids import WorkerId

# Every reason code, as README.md lists them, for people.
REASONS: Mapping[str, str] = {
    "artifact-gone": "the same work was done before, but nobody holds its artifact",
    "spec-changed": "the artifact that there is under this id was made from another spec",
    "result-unknown": "a worker holds the artifact, but nobody remembers how it was made",
    "holds-result": "it says that it holds this very artifact",
    "holds-dependency": "it holds the artifact of a dependency",
    "first-come": "nobody was nearer to the job",
    "waited-for-dependency": "no holder of a dependency came in time",
    "waited-for-result": "no holder of the result came in time",
    "shared": "the same work was given out for another build",
    "silent": "nothing was heard of it for too long",
    "restarted": "it came back as a new process",
    "left": "it said that it goes",
    "evicted": "it said so",
    "worker-lost": "the worker is gone or is a new process",
    "lease-ran-out": "nothing was heard of the lease for too long",
    "never-taken": "the worker reported, but never this job",
    "handed-back": "the worker is leaving",
    "container-failed": "it failed, and is begun anew",
    "health-failed": "its health check failed",
    "artifact-unavailable": "the worker could not fetch a dependency",
    "artifact-lost": "its last holder is gone or dropped it",
    "artifact-replaced": "its holder has another artifact of that id now",
    "build-cancelled": "the build was cancelled",
    "build-failed": "another job failed",
    "dependency-failed": "a dependency failed",
    "source-lost": "a source file of the build is gone",
}
LISTED_MAX = 5


def because(reason: str) -> str:
    """A reason code, or the free text that stands in its place, for people."""
    return REASONS.get(reason, reason)


def worker(id_: WorkerId) -> str:
    """`worker w1:9000`."""
    return f"worker {id_.removeprefix('http://')}"


def listed(texts: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(texts) - LISTED_MAX} more" if len(texts) > LISTED_MAX else ""
    return ", ".join(texts[:LISTED_MAX]) + more


def short(id_: str) -> str:
    """Enough of an id to tell it apart."""
    return id_[:8]


def count(number: int, noun: str) -> str:
    """`1 job`, `3 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds(number: float) -> str:
    """`4 ms`, `1.5 s`, `12 min 05 s`, `3 h 20 min`, `2 d 4 h`."""
    number = max(0.0, number)
    if number < 0.0995:
        return f"{number * 1000:.0f} ms"
    if number < 99.95:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
