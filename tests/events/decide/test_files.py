"""The store of files: what arrives is recorded once its bytes are there, and what is needed does not go."""

import pytest
from attrs import evolve

from events.catalog import BuildCancelled, FileDropped, FileStored, OutputsKept, SourceDropped, StoredFile
from events.commands import (
    CancelBuild,
    DropFile,
    DropSource,
    FinishUpload,
    ForgetBuild,
    KeepOutputs,
    NewFile,
    Result,
)
from events.commands import StoreFile as Store
from events.errors import FILE_IN_USE, FILE_UNKNOWN, SOURCE_IN_USE
from events.ids import BlobDigest, as_uuid, is_uuid, source_of
from tests.events.story import BUILD, OTHER, A, B, S, Story, beat, file_id, job, lease_id, start, store

# Its source is `S`.
FILE = NewFile(blob=BlobDigest("1" * 64), size=3, name="tool", executable=True)
MADE = NewFile(blob=BlobDigest("a" * 64), size=5, name="made")


def kept(new: NewFile, number: int) -> StoredFile:
    return StoredFile(
        file=file_id(number), blob=new.blob, size=new.size, name=new.name, executable=new.executable
    )


def ended() -> Story:
    """A build of two jobs has succeeded, one of which declares outputs; two ids are drawn."""
    results = (Result(job=A, lease=lease_id(1)), Result(job=B, lease=lease_id(2)))
    story = Story().given(start(job(A, outputs=("stdout", "x")), job(B)), FinishUpload(build=BUILD))
    return story.given(beat(free=2, slots=2), beat(free=2, slots=2, finished=results))


def test_a_file_is_stored_and_is_a_source_too() -> None:
    """The same bytes again are another file, of the same source."""
    story = Story().when(Store(file=FILE, user="ada"))
    story.then(FileStored(file=file_id(1), blob=FILE.blob, size=3, name="tool", executable=True, user="ada"))
    story.when(Store(file=evolve(FILE, name=""))).then(
        FileStored(file=file_id(2), blob=FILE.blob, size=3, executable=True)
    )
    assert list(story.state.sources) == [source_of(FILE.blob)] == [S]


def test_other_contents_under_the_id_of_its_bytes_are_in_the_way() -> None:
    """A distbuild client may give any id to anything."""
    Story().given(store(S)).refused(Store(file=FILE), SOURCE_IN_USE, S)
    Story().given(Store(file=FILE)).refused(store(S), SOURCE_IN_USE, S)
    story = ended().given(store(source_of(MADE.blob)))
    story.refused(KeepOutputs(build=BUILD, files=(MADE,)), SOURCE_IN_USE, source_of(MADE.blob))


def test_a_file_goes_when_nobody_needs_it() -> None:
    """Its source stays until somebody drops that."""
    story = Story().given(Store(file=FILE)).when(DropFile(file=file_id(1), reason="deleted"))
    story.then(FileDropped(file=file_id(1), reason="deleted"))
    assert S in story.state.sources
    story.refused(DropFile(file=file_id(1), reason="deleted"), FILE_UNKNOWN, file_id(1))


def test_what_a_build_is_made_from_stays_until_it_has_ended() -> None:
    """Whether it runs yet or not."""
    story = Story().given(Store(file=FILE), start(job(A, inputs=("s",))))
    drop = DropFile(file=file_id(1), reason="deleted")
    story.refused(drop, FILE_IN_USE, BUILD).given(FinishUpload(build=BUILD)).refused(drop, FILE_IN_USE, BUILD)
    story.given(CancelBuild(build=BUILD, reason="enough")).when(drop)
    story.then(FileDropped(file=file_id(1), reason="deleted"))


def test_outputs_of_an_ended_build_are_kept_once() -> None:
    """In the order asked for, with what is not to be had; and they stay as long as the build is known."""
    keep = KeepOutputs(build=BUILD, files=(MADE, MADE), error="x was not made")
    story = ended().when(keep)
    story.then(OutputsKept(build=BUILD, files=(kept(MADE, 3), kept(MADE, 4)), error="x was not made"))
    assert list(story.state.files) == [file_id(3), file_id(4)]
    drop = DropFile(file=file_id(4), reason="deleted")
    story.when(keep).then()
    story.refused(drop, FILE_IN_USE, BUILD)
    story.given(ForgetBuild(build=BUILD)).when(drop).then(FileDropped(file=file_id(4), reason="deleted"))


def test_nothing_is_kept_of_a_build_that_goes_on_or_declares_nothing_or_is_cancelled() -> None:
    """It is no news."""
    story = Story().given(start(job(A, outputs=("stdout",))), FinishUpload(build=BUILD))
    story.when(KeepOutputs(build=BUILD)).then()
    story.given(start(job(B)), CancelBuild(build=OTHER, reason="enough"))
    story.when(KeepOutputs(build=OTHER)).then()
    story.when(CancelBuild(build=BUILD, reason="enough"))
    assert story.last[-1] == BuildCancelled(build=BUILD, reason="enough")
    story.when(KeepOutputs(build=BUILD)).then()


def test_a_source_that_the_disk_lost_takes_its_files_along() -> None:
    """All of them."""
    story = Story().given(Store(file=FILE), Store(file=FILE), Store(file=MADE))
    story.when(DropSource(source=S, reason="missing on disk"))
    story.then(SourceDropped(source=S, reason="missing on disk"))
    assert list(story.state.files) == [file_id(3)]


@pytest.mark.parametrize("digits", ["0" * 32, "f" * 32, "0123456789abcdef" * 2])
def test_random_digits_become_a_uuid_and_a_uuid_stays_what_it_is(digits: str) -> None:
    """Version 4, as strict readers want it."""
    made = as_uuid(digits)
    assert is_uuid(made)
    assert made[14] == "4"
    assert made[19] in "89ab"
    assert as_uuid(made.replace("-", "")) == made
    assert not is_uuid(made + "0")
