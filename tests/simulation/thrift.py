"""What costs time in every run and shows nothing, left out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from werkzeug.routing import Rule


@contextmanager
def thrift() -> Iterator[None]:
    """Routes lead to handlers as ever; code that makes URLs from them is compiled only if somebody asks."""
    compile_now = Rule._compile_builder

    def compile_when_asked(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        return lambda _rule, **values: compile_now(rule, append_unknown)(rule, **values)

    with mock.patch.object(Rule, "_compile_builder", compile_when_asked):
        yield
