"""Looking things up in State: found, or refused with a code and the id that was asked for."""

import pytest

from events.errors import BUILD_UNKNOWN, JOB_UNKNOWN, WORKER_UNKNOWN, Rejected
from tests.events.story import BUILD, OTHER, A, B, S, Story, T, V, W, beat, job, start, store


def test_what_is_there_is_found() -> None:
    """By its id."""
    state = Story().given(start(job(A)), beat()).state
    assert state.build(BUILD).id == BUILD
    assert state.job(BUILD, A).id == A
    assert state.worker(W).id == W


def test_what_is_not_there_is_refused() -> None:
    """The code tells what kind of thing is missing."""
    state = Story().given(start(job(A)), beat()).state
    with pytest.raises(Rejected, match=OTHER) as caught:
        state.build(OTHER)
    assert caught.value.code is BUILD_UNKNOWN
    with pytest.raises(Rejected, match=OTHER) as caught:
        state.job(OTHER, A)
    assert caught.value.code is BUILD_UNKNOWN
    with pytest.raises(Rejected, match=B) as caught:
        state.job(BUILD, B)
    assert caught.value.code is JOB_UNKNOWN
    with pytest.raises(Rejected, match=V) as caught:
        state.worker(V)
    assert caught.value.code is WORKER_UNKNOWN


def test_missing_sources_are_named_once_in_order() -> None:
    """Those that another build brought need not be uploaded again."""
    story = Story().given(start(job(A, inputs=("t", "s")), job(B, inputs=("s",))))
    assert story.state.missing_sources(BUILD) == (S, T)
    story.given(store(S))
    assert story.state.missing_sources(BUILD) == (T,)
    with pytest.raises(Rejected):
        story.state.missing_sources(OTHER)
