"""Who watches a build from its client's side, and how patient that client is."""

from pathlib import Path

from attrs import frozen

from clients.live import Line, Link
from events.ids import BuildId, JobId


class Observer:
    """Hears how a build comes along; overrides what it cares about. Nothing here may block."""

    def on_started(self, build: BuildId, missing: int, *, is_native: bool) -> None:
        """The build has its id; `missing` source files are to be uploaded."""

    def on_upload(self, done: int, total: int) -> None:
        """So many files are with the coordinator."""

    def on_record(self, line: Line) -> None:
        """A record of the build; of a foreign one, with position 0 and only the jobs' ends."""

    def on_link(self, link: Link) -> None:
        """The connection was lost, or is back."""

    def on_fetching(self, total: int) -> None:
        """The build has ended; so many artifacts are to be fetched."""

    def on_fetched(self, job: JobId, path: Path) -> None:
        """An artifact is in its place."""


@frozen(kw_only=True)
class Patience:
    """How long an outage may last before it is given up, in seconds, in each part of the story.

    `silence_seconds`: a followed stream without a sign of life for so long counts as broken.
    """

    start_seconds: float = 60.0
    upload_seconds: float = 120.0
    cancel_seconds: float = 10.0
    follow_seconds: float = 300.0
    silence_seconds: float = 45.0
