"""What facts about requests do to State: which are open, which nobody was told of, how they ended."""

from itertools import islice
from typing import TypeAlias

from events.catalog import RequestFinished, RequestLogged, RequestPublished
from events.model import Request
from events.state import State
from events.transitions import REQUEST, RequestStatus, next_status

RequestMoved: TypeAlias = RequestPublished | RequestFinished

# So many that have finished are known; the log keeps all.
FINISHED_KEPT = 10_000


def log(state: State, event: RequestLogged) -> None:
    id_ = event.request
    assert id_ == state.requests_logged + 1, f"request {id_} does not follow {state.requests_logged}"
    state.requests_logged = id_
    state.requests[id_] = Request(id_, RequestStatus.LOGGED, event.action, event.who, event.what, state.at)
    state.open_requests[id_] = None
    state.unpublished[id_] = None


def publish(state: State, event: RequestPublished) -> None:
    request = _moved(state, event)
    state.requests[request.id] = request
    del state.unpublished[request.id]


def finish(state: State, event: RequestFinished) -> None:
    request = _moved(state, event)
    state.requests[request.id] = request._replace(finished_at=state.at, answer=event.answer)
    state.unpublished.pop(request.id, None)
    del state.open_requests[request.id]
    if len(state.requests) - len(state.open_requests) > FINISHED_KEPT:
        closed = (id_ for id_ in state.requests if id_ not in state.open_requests)
        for oldest in list(islice(closed, 1)):
            del state.requests[oldest]


def _moved(state: State, event: RequestMoved) -> Request:
    request = state.requests[event.request]
    status = next_status(REQUEST, request.status, event, f"request {request.id}")
    return request._replace(status=status)
