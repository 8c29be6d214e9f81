"""Decisions made again, from the commands that the records tell."""

from collections.abc import Iterable, Sequence

from events.catalog import Record
from events.codec import encode
from events.commands import Command
from events.decide import execute
from events.hindsight.inputs import recover
from events.state import State


def decided_again(batches: Iterable[Sequence[Record]]) -> list[Command]:
    """Each command, given again to the state before it, leaves the same records, byte for byte."""
    state, commands = State(), []
    for records in batches:
        given = recover(state, records)
        again = execute(state, given.command, given.context())
        assert list(map(encode, again)) == list(map(encode, records)), given.command
        commands.append(given.command)
    return commands
