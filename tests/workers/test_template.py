"""Rendering on the worker: three actions are filled in, everything else is the job's error."""

import pytest

from clients.distbuild import Cmd
from events.ids import JobId
from workers.template import Directories, Mentions, RenderError, mentions, render, render_cmd

A, B = JobId("aa" * 20), JobId("bb" * 20)
HERE = Directories(source="/w/source", output="/w/output", deps={A: "/cache/a"})


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain }} { {0} %s $HOME", "plain }} { {0} %s $HOME"),
        ("{{.OutputDir}}/x", "/w/output/x"),
        ("-I{{ .SourceDir }}/include", "-I/w/source/include"),
        (f'{{{{index .Deps "{A}"}}}}/lib.a', "/cache/a/lib.a"),
        (f"{{{{ index  .Deps\t`{A}` }}}}", "/cache/a"),
        ("a \n{{- .OutputDir -}} \t b", "a/w/outputb"),
        ("{{.SourceDir}}{{.OutputDir}}", "/w/source/w/output"),
    ],
)
def test_directories_are_filled_in(text: str, rendered: str) -> None:
    """As Go's text/template does it, white space and trim markers included."""
    assert render(text, HERE) == rendered


@pytest.mark.parametrize(
    "text",
    ["{{.Foo}}", "{{", "{{7*7}}", "{{.OutputDir", f'{{{{index .Deps "{B}"}}}}', '{{index .Deps "aa"}}'],
)
def test_anything_else_is_an_error_of_the_job(text: str) -> None:
    """The message begins as the protocol's own workers begin it."""
    with pytest.raises(RenderError, match=r"^error rendering cmd: "):
        render(text, HERE)


def test_what_is_filled_in_is_not_read_again() -> None:
    """A path is text, not a template: nothing can be smuggled in through it."""
    odd = Directories(source="{{.OutputDir}}", output="/w/{0.__class__}", deps={})
    assert render("{{.SourceDir}} {{.OutputDir}}", odd) == "{{.OutputDir}} /w/{0.__class__}"


def test_every_string_of_a_command_is_rendered() -> None:
    """Arguments, environment, working directory, and what `cat` writes where."""
    cmd = Cmd(
        exec=("cc", "{{.SourceDir}}/a.c"),
        environ=("OUT={{.OutputDir}}",),
        working_directory="{{.SourceDir}}",
        cat_template="in {{.SourceDir}}",
        cat_output="{{.OutputDir}}/file",
    )
    assert render_cmd(cmd, HERE) == Cmd(
        exec=("cc", "/w/source/a.c"),
        environ=("OUT=/w/output",),
        working_directory="/w/source",
        cat_template="in /w/source",
        cat_output="/w/output/file",
    )


def test_mentions_tell_what_a_job_needs() -> None:
    """A job that mentions no directory needs none."""
    nothing = Cmd(exec=("/bin/true",))
    assert mentions([nothing]) == Mentions(source=False, output=False, deps=frozenset())
    everything = Cmd(cat_template=f'{{{{index .Deps "{A}"}}}}', cat_output="{{.OutputDir}}/x")
    assert mentions([nothing, everything]) == Mentions(source=False, output=True, deps=frozenset({A}))
    assert mentions([Cmd(exec=("a",), working_directory="{{.SourceDir}}")]).source
