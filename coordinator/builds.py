"""Starting a build so that it can be tried again, and looking it up by what a person types."""

from coordinator.core import Coordinator
from events.catalog import BuildStarted
from events.commands import StartBuild
from events.errors import BUILD_UNKNOWN, Rejected
from events.ids import BuildId
from events.state import State


async def start(core: Coordinator, command: StartBuild) -> BuildId:
    """Start the build, or find the one that this key has started before; raises `Rejected`."""
    records = await core.submit(command)
    for record in records:
        if isinstance(record.event, BuildStarted):
            return record.event.build
    return await core.view(lambda state: state.keys[command.key])


def resolve(state: State, name: str) -> BuildId:
    """The build of this id or unambiguous prefix of one; raises `Rejected`."""
    if name in state.builds:
        return BuildId(name)
    found = [id_ for id_ in state.builds if id_.startswith(name)] if name else []
    if len(found) != 1:
        problem = "no build has" if not found else f"{len(found)} builds have"
        raise Rejected(BUILD_UNKNOWN, f"{problem} an id that begins with {name!r}")
    return found[0]
