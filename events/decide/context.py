"""What a decision may draw from outside. Whatever it draws is written into the event."""

from collections.abc import Callable

from attrs import frozen


@frozen
class Context:
    """`now`: seconds since 1970; `new_id(bytes)`: that many random bytes in lower-case hex."""

    now: float
    new_id: Callable[[int], str]
