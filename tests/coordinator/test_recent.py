"""The latest records in memory: never fewer than the log has, or an honest None."""

from coordinator.recent import Recent
from events.catalog import BuildStarted, Record, TimePassed
from events.ids import BuildId, Position
from events.log import Entry, Subject

A, B, C = (Subject.build(BuildId(name)) for name in "abc")


def record(position: int, subject: Subject | None = None) -> Record:
    event = TimePassed() if subject is None else BuildStarted(build=BuildId(subject.id), jobs=0)
    return Record(Position(position), 0.0, event)


def filled(recent: Recent, *subjects: Subject | None, first: int = 1) -> Recent:
    for position, subject in enumerate(subjects, start=first):
        recent.append(record(position, subject), b"%d" % position)
    return recent


def found(entries: list[Entry] | None) -> list[int] | None:
    return None if entries is None else [entry.record.position for entry in entries]


def test_each_subject_has_its_own_records() -> None:
    """A build's, and all of them."""
    recent = filled(Recent(Position(0)), A, B, None, A)
    assert found(recent.after(Position(0), A, 10)) == [1, 4]
    assert found(recent.after(Position(1), A, 10)) == [4]
    assert found(recent.after(Position(0), None, 10)) == [1, 2, 3, 4]
    assert found(recent.after(Position(0), None, 3)) == [1, 2, 3]


def test_what_is_older_than_the_memory_is_not_claimed_to_be_nothing() -> None:
    """After a restart at 10, a build's records up to 10 may be in the log."""
    recent = filled(Recent(Position(10)), B, A, first=11)
    assert found(recent.after(Position(10), A, 10)) is None
    assert found(recent.after(Position(11), A, 10)) == [12]
    assert found(recent.after(Position(9), None, 10)) is None
    assert found(recent.after(Position(10), None, 10)) == [11, 12]


def test_the_memory_is_bounded() -> None:
    """Old records go in large steps, and the floor rises with them."""
    recent = filled(Recent(Position(0), records_max=3), *([A] * 20))
    kept = found(recent.after(Position(19), A, 10))
    assert kept == [20]
    assert found(recent.after(Position(0), A, 100)) is None
    assert found(recent.after(Position(0), None, 100)) is None
    for position in range(20):
        entries = found(recent.after(Position(position), A, 100))
        assert entries in (None, list(range(position + 1, 21)))
    assert found(recent.after(Position(17), A, 100)) == [18, 19, 20]


def test_a_forgotten_build_may_have_news() -> None:
    """Its follower is sent to the log once, and waits from there on."""
    recent = filled(Recent(Position(0), subjects_max=2), A, B, C)
    assert recent.after(Position(0), A, 10) is None
    assert recent.may_have_news(Position(1), A)
    assert not recent.may_have_news(Position(3), A)


def test_after_a_start_an_old_build_may_have_news() -> None:
    """Nothing of it is in memory; up to the head of the log only the log knows."""
    recent = Recent(Position(10))
    assert recent.may_have_news(Position(9), A)
    assert not recent.may_have_news(Position(10), A)
