"""buildapi's job requests as they travel: what an agent is told, and what it answers.

A message is JSON on a topic exchange. Under `requests` it is `{"action", "who", "body": {…parameters, "when",
"request_id"}}`, under `finished` it is `{"body": {"errors", "msg"}, "request_id"}`.
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from clients import codec
from clients.codec import Malformed
from events.ids import RequestId

REQUESTS, FINISHED = "requests", "finished"


@frozen(kw_only=True)
class Wish:
    """What an agent is asked for; `request` is None where nobody could be answered."""

    action: str
    who: str
    body: Mapping[str, Any]
    request: RequestId | None


@frozen(kw_only=True)
class Outcome:
    """What came of it, in words."""

    errors: bool
    msg: str


def write_wish(request: RequestId, action: str, who: str, what: str, logged_at: float) -> bytes:
    """`what` are the parameters as JSON text; `logged_at` in seconds since 1970."""
    body = {**codec.loads(what.encode()), "when": int(logged_at), "request_id": request}
    return codec.dumps({"action": action, "who": who, "body": body})


def read_wish(message: bytes) -> Wish:
    """Raises `Malformed`."""
    sent = codec.loads(message)
    body = sent.get("body", {}) if isinstance(sent, dict) else None
    if not isinstance(body, dict):
        raise Malformed("a request is an object with an action and a body")
    id_ = body.get("request_id")
    return Wish(
        action=str(sent.get("action", "")),
        who=str(sent.get("who", "")),
        body=body,
        request=RequestId(id_) if type(id_) is int else None,
    )


def write_answer(request: RequestId, outcome: Outcome) -> bytes:
    return codec.dumps({"body": {"errors": outcome.errors, "msg": outcome.msg}, "request_id": request})


def read_answer(message: bytes) -> RequestId:
    """Which request it answers; what it says is kept as it is. Raises `Malformed`."""
    sent = codec.loads(message)
    id_ = sent.get("request_id") if isinstance(sent, dict) else None
    if type(id_) is not int:
        raise Malformed("an answer is an object that names its request_id")
    return RequestId(id_)
