"""What a job in a container did so badly that it was begun anew."""

from events.catalog import ContainerFailed, HealthCheckFailed, Record
from events.folding.jobs import RESTARTS
from events.hindsight.why.inquiry import Inquiry
from events.hindsight.words import because
from events.ids import Position

__all__ = ["RESTARTS", "badly"]


def badly(asked: Inquiry, leased: Record, record: Record) -> tuple[str, tuple[Position, ...]]:
    """In a few words, with the record that tells it; `record` is the release that followed."""
    asked_for = {"types": ("ContainerFailed", "HealthCheckFailed"), "jobs": (asked.job,)}
    told = asked.past.last(after=leased.position, upto=record.position, **asked_for)
    match told.event if told else None:
        case ContainerFailed(error=error):
            said = f"it failed ({error}) and was begun anew"
        case HealthCheckFailed(error=error):
            said = f"its health check failed ({error}) and it was begun anew"
        case _:
            return because("container-failed"), ()
    return said, (told.position,) if told else ()
