"""Requests: logged first, then published, then finished; each once, whatever arrives twice."""

from attrs import evolve

from events.catalog import RequestFinished, RequestLogged, RequestPublished
from events.commands import CancelBuild, FinishRequest, ForgetBuild, LogRequest, PublishRequest
from events.decide import Context, execute
from events.decide.requests import OPEN_MAX, TEXT_CHARS_MAX
from events.errors import MALFORMED, REQUEST_UNKNOWN, REQUESTS_OPEN
from events.folding.requests import FINISHED_KEPT
from events.ids import RequestId
from events.state import State
from events.transitions import RequestStatus
from tests.events.story import BUILD, OTHER, A, B, Counter, Story, build_id, job, start

ONE, TWO = RequestId(1), RequestId(2)
ASKED = LogRequest(action="cancel_build", who="ann", what='{"bid":7}')


def test_a_request_is_logged_published_and_finished() -> None:
    """Its number counts; what is said again is no news, and the first answer stays."""
    logged = RequestLogged(request=ONE, action="cancel_build", who="ann", what='{"bid":7}')
    story = Story().when(ASKED).then(logged)
    assert (list(story.state.unpublished), list(story.state.open_requests)) == ([ONE], [ONE])
    story.when(PublishRequest(request=ONE)).then(RequestPublished(request=ONE))
    story.when(PublishRequest(request=ONE)).then()
    story.when(FinishRequest(request=ONE, answer="{}")).then(RequestFinished(request=ONE, answer="{}"))
    story.when(FinishRequest(request=ONE, answer='{"again":1}')).then()
    story.when(PublishRequest(request=ONE)).then()
    assert story.state.request(ONE).status is RequestStatus.FINISHED
    story.when(ASKED).then(evolve(logged, request=TWO))


def test_an_answer_may_come_before_the_broker_is_known_to_have_it() -> None:
    """The confirmation may have been lost."""
    story = Story().given(ASKED).when(FinishRequest(request=ONE, answer="{}"))
    story.then(RequestFinished(request=ONE, answer="{}"))


def test_only_what_nobody_can_have_heard_of_is_taken_back() -> None:
    """Once the broker has it, an agent may be at it."""
    story = Story().given(ASKED, ASKED, PublishRequest(request=ONE))
    story.when(FinishRequest(request=ONE, answer="{}", undelivered=True)).then()
    story.when(FinishRequest(request=TWO, answer="{}", undelivered=True))
    story.then(RequestFinished(request=TWO, answer="{}"))


def test_what_makes_no_sense_is_refused() -> None:
    """And so is what nobody asked for."""
    story = Story().refused(evolve(ASKED, action=""), MALFORMED)
    story.refused(evolve(ASKED, who="x" * 257), MALFORMED)
    story.refused(evolve(ASKED, what="x" * (TEXT_CHARS_MAX + 1)), MALFORMED)
    story.refused(PublishRequest(request=ONE), REQUEST_UNKNOWN)
    story.refused(FinishRequest(request=ONE, answer="{}"), REQUEST_UNKNOWN)
    story.given(ASKED).refused(FinishRequest(request=ONE, answer="x" * (TEXT_CHARS_MAX + 1)), MALFORMED)


def test_not_too_many_are_open_at_once() -> None:
    """Whatever is wrong with the broker or its agents does not fill the memory."""
    story = Story()
    many = map(RequestId, range(100, 100 + OPEN_MAX))
    story.state.open_requests.update(dict.fromkeys(many))
    story.refused(ASKED, REQUESTS_OPEN, str(OPEN_MAX))


def test_of_those_that_have_finished_the_oldest_are_let_go() -> None:
    """One that is still open stays, however old."""
    state, new = State(), Counter()
    for number in range(1, FINISHED_KEPT + 4):
        execute(state, ASKED, Context(1.0, new))
        if number > 1:
            execute(state, FinishRequest(request=RequestId(number), answer="{}"), Context(1.0, new))
    assert list(state.requests)[:3] == [1, 4, 5]
    assert len(state.requests) == FINISHED_KEPT + 1


def test_builds_of_branches_have_numbers() -> None:
    """They are counted for ever: one that is forgotten leaves a hole."""
    of_branch = evolve(start(job(A)), labels={"branch": "main"})
    story = Story().given(of_branch, start(job(B)), of_branch)
    assert story.state.numbers == {1: BUILD, 2: build_id(3)}
    assert [story.state.builds[id_].number for id_ in (BUILD, OTHER)] == [1, 0]
    story.given(CancelBuild(build=build_id(3), reason=""), ForgetBuild(build=build_id(3)), of_branch)
    assert story.state.numbers == {1: BUILD, 3: build_id(4)}
