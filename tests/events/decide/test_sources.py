"""Source files come before the facts about them, and go only with consequences."""

from events.catalog import (
    BuildFailed,
    JobCancelled,
    SourceDropped,
    SourcesReady,
    SourceStored,
)
from events.commands import DropSource, FinishUpload
from events.errors import SOURCE_IN_USE, SOURCE_UNKNOWN
from events.ids import BlobDigest
from tests.events.story import BUILD, LEASE, A, B, S, Story, T, W, beat, job, start, store

READY = FinishUpload(build=BUILD)
DROP = DropSource(source=S, reason="missing on disk")


def test_a_source_is_stored_once() -> None:
    """The same bytes again are no news."""
    story = Story().when(store(S)).then(SourceStored(source=S, blob=BlobDigest("0" * 64), size=1))
    story.when(store(S)).then()


def test_other_bytes_replace_a_source_that_nothing_is_made_from() -> None:
    """A client may correct what it uploaded until it says that it is done."""
    story = Story().given(start(job(A, inputs=("s",))), store(S))
    story.when(store(S, "1")).then(SourceStored(source=S, blob=BlobDigest("1" * 64), size=1))


def test_other_bytes_are_refused_while_a_build_is_made_from_the_file() -> None:
    """Its results would be filed under contents that they were not made from."""
    story = Story().given(start(job(A, inputs=("s",))), store(S), READY)
    story.refused(store(S, "1"), SOURCE_IN_USE, BUILD, S)
    story.when(store(S)).then()
    story.when(store(T, "1")).then(SourceStored(source=T, blob=BlobDigest("1" * 64), size=1))


def test_a_source_that_nobody_needs_is_dropped() -> None:
    """It has to be uploaded again for the next build."""
    story = Story().given(store(S)).when(DROP).then(SourceDropped(source=S, reason="missing on disk"))
    assert story.state.sources == {}


def test_an_unknown_source_cannot_be_dropped() -> None:
    """The id is named."""
    Story().refused(DROP, SOURCE_UNKNOWN, S)


def test_a_build_that_uploads_learns_of_a_dropped_source_when_it_is_ready() -> None:
    """It then uploads it again."""
    story = Story().given(start(job(A, inputs=("s",))), store(S))
    story.when(DROP).then(SourceDropped(source=S, reason="missing on disk"))
    assert story.state.missing_sources(BUILD) == (S,)
    story.given(store(S)).when(READY)
    assert SourcesReady(build=BUILD) in story.last


def test_a_build_that_runs_cannot_go_on_without_its_source() -> None:
    """It fails at once and says why, instead of waiting for what nobody will bring."""
    story = Story().given(start(job(A, inputs=("s",)), job(B, A)), store(S), READY, beat())
    story.when(DROP).then(
        SourceDropped(source=S, reason="missing on disk"),
        JobCancelled(build=BUILD, job=A, reason="source-lost"),
        JobCancelled(build=BUILD, job=B, reason="source-lost"),
        BuildFailed(build=BUILD, error=f"the source file {S} was lost: missing on disk"),
    )
    assert story.state.revoked == {W: {LEASE: None}}
