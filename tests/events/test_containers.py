"""What a container may ask for."""

from typing import Any

import pytest

from events.catalog import Container
from events.containers import problems_of
from events.graphs import BadGraph, check
from tests.events.test_graphs import A, Job


def test_a_sound_one_has_no_problems() -> None:
    """With all there is to ask for."""
    container = Container(
        image="registry.example/box:1",
        cpu=0.5,
        memory=64 << 20,
        disk=1 << 30,
        ports=("7777/tcp", "53/udp"),
        bindings={"7777/tcp": "7777"},
        health="/health",
        restarts=3,
        restart_policy="always",
    )
    assert list(problems_of(container)) == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no image": ({"image": ""}, "image's name"),
    "an image with a line end": ({"image": "a\nb"}, "image's name"),
    "less than nothing": ({"cpu": -1.0}, "cpu"),
    "no number": ({"cpu": float("nan")}, "cpu"),
    "negative memory": ({"memory": -1}, "memory"),
    "negative disk": ({"disk": -1}, "disk"),
    "for ever": ({"restarts": 101}, "restarts"),
    "a port by name": ({"ports": ("http",)}, "'http' is no port"),
    "a port beyond": ({"ports": ("65536/tcp",)}, "is no port"),
    "too many ports": ({"ports": tuple(f"{n}/tcp" for n in range(1, 66))}, "64 ports"),
    "bound to nothing": ({"bindings": {"80/tcp": "x"}}, "cannot be bound to 'x'"),
    "no path": ({"health": "health"}, "health check"),
}


@pytest.mark.parametrize(("fields", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(fields: dict[str, Any], said: str) -> None:
    """In a sentence, with the job, before anything is in the log."""
    container = Container(**{"image": "box:1", **fields})
    (problem,) = problems_of(container)
    assert said in problem
    with pytest.raises(BadGraph, match="job"):
        check([Job(id=A, container=container)], {})
