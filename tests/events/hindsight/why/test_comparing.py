"""How does a job differ from the one of the same name before?"""

from typing import Any

from attrs import evolve

from events.catalog import Command
from events.commands import NewJob, Result, StartBuild
from events.hindsight.why import Question
from events.ids import JobId, SourceId
from tests.events.hindsight.why.asking import READY, READY_TOO, texts
from tests.events.story import OTHER, A, B, C, D, S, Story, T, V, beat, store

E, F = JobId("e" * 40), JobId("f" * 40)
U = SourceId("3" * 40)
GCC = Command(exec=("gcc", "-O2", "-c", "x.c"), environ=("LANG=C", "CC=gcc"))
COMPILE = NewJob(id=A, name="compile", inputs=("s", "t"), cmds=(GCC,))
AGAIN = evolve(COMPILE, id=C)
FILES = {S: "s", T: "t"}
FROM = "in build 00000000, the last with a job of this name (record 3), it was other work: "


def difference(new: NewJob, files: dict[SourceId, str] | None = None) -> str:
    """What is said of a job that was handed in after COMPILE, without how that begins."""
    story = Story().given(StartBuild(jobs=(COMPILE,), sources=FILES), store(S), store(T), READY)
    story.given(StartBuild(jobs=(new,), sources=files or FILES), store(U), READY_TOO)
    [text] = texts(story, new.id, Question.NOT_REUSED, build=OTHER)
    assert text.startswith(FROM)
    return text.removeprefix(FROM)


def changed(**command: Any) -> NewJob:
    """The same job with another command."""
    return evolve(AGAIN, cmds=(evolve(GCC, **command),))


def test_other_words_in_its_command() -> None:
    """Only those, not all of it."""
    assert difference(changed(exec=("gcc", "-O3", "-c", "x.c"))) == "its command has -O3 where it had -O2"
    assert (
        difference(changed(exec=("gcc", "-O2", "-g", "-c", "x.c"))) == "its command has -g, which it had not"
    )
    assert difference(changed(exec=("gcc", "-c", "x.c"))) == "its command no longer has -O2"
    long = "x" * 100
    assert difference(changed(exec=(long,))) == f"its command has {'x' * 60}… where it had gcc -O2 -c x.c"


def test_another_environment_place_or_text() -> None:
    """In whatever order the environment is."""
    text = "its environment has LANG=de where it had LANG=C"
    assert difference(changed(environ=("CC=gcc", "LANG=de"))) == text
    assert difference(changed(working_directory="/w")) == "it works in /w"
    assert difference(changed(cat_output="f", cat_template="hi")) == "it writes f where it wrote none"
    assert difference(evolve(AGAIN, cmds=(GCC, GCC))) == "it runs 2 commands where it ran 1"


def test_other_inputs() -> None:
    """Other contents, or other files."""
    assert difference(AGAIN, {S: "s", U: "t"}) == "t has other contents"
    found = difference(evolve(AGAIN, inputs=("s", "u")), {S: "s", U: "u"})
    assert found == "it reads u, which it did not; it no longer reads t"


def test_nothing_but_its_id() -> None:
    """Not every client derives ids from what a job is."""
    text = "nothing in it differs but its id, which its client chose"
    assert difference(AGAIN) == text
    assert difference(evolve(AGAIN, cmds=(evolve(GCC, environ=("CC=gcc", "LANG=C")),))) == text


def link(id_: JobId, *deps: JobId) -> NewJob:
    """A job whose command names its dependencies by id, which says nothing about what it does."""
    words = tuple(f'{{{{index .Deps "{dep}"}}}}/x.o' for dep in deps)
    return NewJob(id=id_, name="link", deps=deps, cmds=(Command(exec=("ld", *words)),))


def app(id_: JobId, *deps: JobId) -> NewJob:
    return NewJob(id=id_, name="app", deps=deps)


def after(old: tuple[NewJob, ...], new: tuple[NewJob, ...], files: dict[SourceId, str]) -> str:
    """What is said of the last job of a graph that was handed in after another."""
    story = Story().given(StartBuild(jobs=old, sources=FILES), store(S), store(T), READY)
    story.given(StartBuild(jobs=new, sources=files), store(U), READY_TOO)
    while story.state.active:
        leases = story.state.leases_of.get(V, {})
        ended = tuple(Result(job=job, lease=lease) for job, lease in leases.items())
        story.given(beat(V, 4, slots=4, finished=ended))
    [text] = texts(story, new[-1].id, Question.NOT_REUSED, build=OTHER)
    return text.partition("it was other work: ")[2]


def test_what_changed_first_is_named() -> None:
    """Not what is only made from it, however many jobs lie between."""
    old = (COMPILE, link(B, A), app(D, B))
    new = (AGAIN, link(E, C), app(F, E))
    text = "compile, which it is made from, changed: t has other contents"
    assert after(old, new, {S: "s", U: "t"}) == text


def test_other_dependencies() -> None:
    """Ones that it did not need, and ones that it needs no more."""
    lib = NewJob(id=D, name="lib")
    assert (
        after((COMPILE, lib, app(B, A)), (COMPILE, lib, app(E, A, D)), FILES)
        == "it needs lib, which it did not"
    )
    assert (
        after((COMPILE, lib, app(B, A, D)), (COMPILE, lib, app(E, D)), FILES) == "it no longer needs compile"
    )


def test_of_many_changes_the_first_are_named() -> None:
    """And how many more there are."""
    ids = [(JobId(f"{number:040x}"), JobId(f"{number + 100:040x}")) for number in range(7)]
    old = [
        NewJob(id=before, name=f"j{n}", cmds=(Command(exec=("old",)),)) for n, (before, _) in enumerate(ids)
    ]
    new = [NewJob(id=now, name=f"j{n}", cmds=(Command(exec=("new",)),)) for n, (_, now) in enumerate(ids)]
    text = after((*old, app(B, *(job.id for job in old))), (*new, app(E, *(job.id for job in new))), FILES)
    assert text.startswith("j0, which it is made from, changed: its command has new where it had old; j1, ")
    assert text.endswith("; 2 more of those that it is made from changed")
