"""Starting a build so that it can be tried again, and looking it up by what a person types."""

from collections.abc import Mapping

from attrs import evolve

from coordinator.core import Coordinator
from events.catalog import BuildStarted
from events.commands import FinishUpload, StartBuild
from events.decide.builds import new_job
from events.errors import BUILD_UNKNOWN, Rejected
from events.ids import BuildId
from events.state import State
from events.transitions import BuildStatus

NUMBER = "number:"


async def start(core: Coordinator, command: StartBuild) -> BuildId:
    """Start the build, or find the one that this key has started before; raises `Rejected`."""
    records = await core.submit(command)
    for record in records:
        if isinstance(record.event, BuildStarted):
            return record.event.build
    return await core.view(lambda state: state.keys[command.key])


async def again(
    core: Coordinator, build: BuildId, *, key: str, labels: Mapping[str, str], priority: int
) -> BuildId:
    """Start the graph of a known build once more, with more labels; raises `Rejected`."""
    wish = await core.view(lambda state: _same_graph(state, build))
    wish = evolve(wish, key=key, priority=priority, labels={**wish.labels, **labels})
    started = await start(core, wish)
    if core.state.builds[started].status is BuildStatus.UPLOADING:
        await core.submit(FinishUpload(build=started))
    return started


def _same_graph(state: State, id_: BuildId) -> StartBuild:
    build, graph = state.build(id_), state.graphs[id_]
    return StartBuild(
        jobs=tuple(new_job(job.spec) for job in graph.jobs.values()),
        sources={source: path for path, source in graph.sources.items()},
        name=build.name,
        keep_going=build.keep_going,
        detached=True,
        labels=build.labels,
    )


def resolve(state: State, name: str) -> BuildId:
    """The build of this id or unambiguous prefix of one, or `number:N`; raises `Rejected`."""
    if name in state.builds:
        return BuildId(name)
    if name.startswith(NUMBER):
        return numbered(state, name.removeprefix(NUMBER))
    found = [id_ for id_ in state.builds if id_.startswith(name)] if name else []
    if len(found) != 1:
        problem = "no build has" if not found else f"{len(found)} builds have"
        raise Rejected(BUILD_UNKNOWN, f"{problem} an id that begins with {name!r}")
    return found[0]


def numbered(state: State, number: str) -> BuildId:
    """The build of a branch that has this number; raises `Rejected`."""
    found = state.numbers.get(int(number)) if number.isascii() and number.isdigit() else None
    if found is None:
        raise Rejected(BUILD_UNKNOWN, f"no build has the number {number[:40]!r}")
    return found
