"""Carries requests out, one after the other, through the coordinator's own interface.

A message may come twice: to two agents, or again because one was killed after it had acted and before it
could say so. So all that is done here may be done again: a build is started under a key made of the
request's number, a cancelled build stays cancelled, and the coordinator lets no older request undo what a
younger one said of a priority. What has been answered already is not begun.
"""

import random
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import structlog
import trio

from clients import codec, wire
from clients.agent.branches import Branches, Builder
from clients.agent.post import NotSent, Post, Unconfirmed
from clients.archive import RunSync
from clients.backoff import TRANSIENT_UNDER_WAY, Backoff
from clients.build import BuildRun
from clients.codec import Malformed
from clients.requests import FINISHED, Outcome, Wish, read_wish, write_answer
from events.transitions import BUILD_ENDED

ANSWER_SECONDS = 30.0
PAGE = 1000
# As long as this an outage of the coordinator is waited for; then the message is left for another agent.
PATIENCE_SECONDS = 1e9
RETRY_SECONDS = 1.0
# A build is known to be of a request by this label.
REQUEST_LABEL = "request"
PROPERTIES_SHOWN, CHARS_SHOWN = 20, 200
DONE = Outcome(errors=False, msg="Ok")
UNKNOWN = Outcome(errors=True, msg="No request with that id")
COMPLETE = Outcome(errors=False, msg="Request is complete, nothing to do")
NOTHING = Outcome(errors=False, msg="No builds to create")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

log = structlog.get_logger()


class Agent:
    """`client` leads to the coordinator, whose path prefix it knows; `host` is where its log can be read."""

    def __init__(
        self,
        client: wire.Client,
        branches: Branches,
        *,
        chance: random.Random,
        host: str,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self._client = client
        self._branches = branches
        self._chance = chance
        self._host = host
        self._run_sync = run_sync
        self._ignored = 0
        self._actions: Mapping[str, Callable[[Wish], Awaitable[Outcome]]] = {
            "reprioritize": self._reprioritize,
            "cancel_request": self._cancel,
            "cancel_build": self._cancel,
            "cancel_revision": self._cancel_revision,
            "rebuild_request": self._rebuild,
            "rebuild_build": self._rebuild,
            "new_build_at_revision": partial(self._build_all, "build"),
            "new_pgobuild_at_revision": partial(self._build_all, "pgo"),
            "new_nightly_at_revision": partial(self._build_all, "nightly"),
            "new_build_for_builder": self._build_one,
        }

    async def serve_forever(self, post: Post) -> None:
        """Take each request in turn; it is acknowledged once the answer is safe."""
        while True:
            delivery = await post.receive()
            try:
                wish = read_wish(delivery.body)
            except Malformed as error:
                log.warning("a message is no request", error=str(error))
                await post.ack(delivery)
                continue
            if wish.action not in self._actions:
                # Another kind of agent may know what to do; so it stays with the broker.
                log.info("an action is not ours", action=wish.action)
                self._ignored += 1
                await post.allow(self._ignored)
                continue
            if wish.request is not None:
                outcome = await self._carry_out(wish)
                if outcome is not None:
                    await _answer(post, write_answer(wish.request, outcome))
            await post.ack(delivery)

    async def _carry_out(self, wish: Wish) -> Outcome | None:
        """None if it was answered before."""
        backoff = Backoff(self._chance, seconds=PATIENCE_SECONDS)
        while True:
            try:
                return await self._attempt(wish)
            except (wire.Unreachable, wire.Refused) as error:
                if isinstance(error, wire.Refused) and error.status not in TRANSIENT_UNDER_WAY:
                    return self._failed(wish, error)
                log.warning("the coordinator is away", request=wish.request, error=str(error))
            except Exception as error:  # whatever is wrong with one request is no reason to leave the others
                return self._failed(wish, error)
            await trio.sleep(backoff.next_delay(trio.current_time()) or RETRY_SECONDS)

    def _failed(self, wish: Wish, error: Exception) -> Outcome:
        log.error("a request failed", request=wish.request, action=wish.action, exc_info=error)
        msg = f"there was an error processing your request; please check logs on {self._host}"
        return Outcome(errors=True, msg=msg)

    async def _attempt(self, wish: Wish) -> Outcome | None:
        known = await self._find(f"/builds/jobs/{wish.request}?format=json")
        if known is None:
            return UNKNOWN
        if known["completed_at"] is not None:
            return None
        return await self._actions[wish.action](wish)

    async def _reprioritize(self, wish: Wish) -> Outcome:
        build = await self._build_of(wish)
        if build is None or build["state"] in BUILD_ENDED:
            return UNKNOWN if build is None else COMPLETE
        sent = {"priority": wish.body["priority"], "request": wish.request}
        return await self._told(f"/api/builds/{build['id']}/priority", sent)

    async def _cancel(self, wish: Wish) -> Outcome:
        build = await self._build_of(wish)
        if build is None or build["state"] in BUILD_ENDED:
            return UNKNOWN if build is None else COMPLETE
        return await self._cancel_one(wish, build)

    async def _cancel_revision(self, wish: Wish) -> Outcome:
        query = urlencode({"label": f"branch={wish.body['branch']}", "limit": PAGE})
        said = []
        for build in (await self._get(f"/api/builds?{query}"))["builds"]:
            labels = build["labels"]
            # One that a younger request started is not meant, even if this one is late.
            is_older = _number(labels.get(REQUEST_LABEL, "")) < (wish.request or 0)
            is_it = is_older and labels.get("revision", "").startswith(wish.body["revision"])
            if is_it and build["state"] not in BUILD_ENDED:
                outcome = await self._cancel_one(wish, build)
                said.append(f"{build['number']}: {outcome.msg}")
        return Outcome(errors=False, msg="\n".join(said))

    async def _cancel_one(self, wish: Wish, build: Mapping[str, Any]) -> Outcome:
        sent = {"reason": f"request {wish.request} of {wish.who}"}
        return await self._told(f"/api/builds/{build['id']}/cancel", sent)

    async def _rebuild(self, wish: Wish) -> Outcome:
        build = await self._build_of(wish)
        if build is None:
            return UNKNOWN
        labels = [f"{REQUEST_LABEL}={wish.request}", f"user={wish.who}"]
        for number in range(wish.body.get("count", 1)):
            query = urlencode({"key": f"request-{wish.request}-{number}", "label": labels}, doseq=True)
            sent = {"priority": wish.body.get("priority", 0)}
            await self._post(f"/api/builds/{build['id']}/again?{query}", sent)
        return DONE

    async def _build_all(self, kind: str, wish: Wish) -> Outcome:
        branch = self._branches.get(wish.body["branch"])
        builders = branch.of_kind(kind) if branch else []
        return await self._start_all(wish, builders)

    async def _build_one(self, wish: Wish) -> Outcome:
        branch = self._branches.get(wish.body["branch"])
        builder = branch.builders.get(wish.body["builder_name"]) if branch else None
        return await self._start_all(wish, [builder] if builder else [])

    async def _start_all(self, wish: Wish, builders: list[Builder]) -> Outcome:
        for number, builder in enumerate(builders):
            await self._start(wish, builder, f"request-{wish.request}-{number}")
        return DONE if builders else NOTHING

    async def _start(self, wish: Wish, builder: Builder, key: str) -> None:
        branch = wish.body["branch"].removesuffix("-selfserve")
        labels = _labels(wish, branch, builder.name)
        graph = await self._run_sync(partial(builder.load, environ(wish, branch, builder.name)))
        async with BuildRun(
            self._client,
            graph.graph,
            builder.graph.parent,
            key=key,
            chance=self._chance,
            name=builder.name,
            keep_going=graph.keep_going,
            labels=labels,
            priority=wish.body.get("priority", 0),
            run_sync=self._run_sync,
        ) as run:
            await run.submit()

    async def _build_of(self, wish: Wish) -> Any:
        number = wish.body.get("brid", wish.body.get("bid"))
        shown = await self._find(f"/api/builds/{quote(f'number:{number}', safe='')}")
        return shown and shown["build"]

    async def _told(self, target: str, sent: Mapping[str, object]) -> Outcome:
        try:
            await self._post(target, sent)
        except wire.Refused as refusal:
            if refusal.status != 409:
                raise
            return COMPLETE  # it ended meanwhile
        return DONE

    async def _post(self, target: str, sent: Mapping[str, object]) -> None:
        body = codec.dumps(sent)
        (
            await self._client.call("POST", target, body=body, timeout_seconds=ANSWER_SECONDS)
        ).raise_for_status()

    async def _get(self, target: str) -> Any:
        reply = await self._client.call("GET", target, timeout_seconds=ANSWER_SECONDS)
        return codec.loads(reply.raise_for_status().body)

    async def _find(self, target: str) -> Any:
        """As `_get`; None if there is no such thing."""
        try:
            return await self._get(target)
        except wire.Refused as refusal:
            if refusal.status != 404:
                raise
            return None


def environ(wish: Wish, branch: str, builder: str) -> dict[str, str]:
    """What a builder's jobs find in their environment; raises ValueError for what cannot stand there."""
    values = {
        "BRANCH": branch,
        "REVISION": wish.body["revision"],
        "BUILDER": builder,
        "FILES": " ".join(map(str, wish.body.get("files", ()))),
    }
    for name, value in wish.body.get("properties", {}).items():
        values[f"PROPERTY_{name}"] = value if isinstance(value, str) else codec.dumps(value).decode()
    for name, value in values.items():
        # The worker would read `{{` as the beginning of one of its own variables.
        if not _NAME.match(name) or "\0" in value or "{{" in value:
            raise ValueError(f"{name}={value[:80]!r} cannot be a variable of a job")
    return {name: value for name, value in values.items() if value}


def _labels(wish: Wish, branch: str, builder: str) -> dict[str, str]:
    """What the build is found by, and as many of its properties as a label can hold."""
    properties = list(wish.body.get("properties", {}).items())[:PROPERTIES_SHOWN]
    return {
        "branch": branch,
        "revision": wish.body["revision"],
        "builder": builder,
        "user": wish.who,
        REQUEST_LABEL: str(wish.request),
        **{f"property:{name}": str(value)[:CHARS_SHOWN] for name, value in properties},
    }


def _number(label: str) -> int:
    """Of the request that started the build; 0 if none did, whatever its client calls one."""
    return int(label) if label.isascii() and label.isdigit() else 0


async def _answer(post: Post, message: bytes) -> None:
    while True:
        try:
            await post.publish(FINISHED, message)
        except (NotSent, Unconfirmed) as error:
            log.warning("an answer was not taken", error=str(error))
            await trio.sleep(RETRY_SECONDS)
        else:
            return
