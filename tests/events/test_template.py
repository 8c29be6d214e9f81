"""The notation is Go's: what Go's text/template makes of these texts, we make of them too."""

import pytest

from events.ids import JobId
from events.template import DepDir, OutputDir, Part, SourceDir, TemplateError, dependencies, parse

A = "aa" * 20


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain }} text, { and }", ("plain }} text, { and }",)),
        ("{{.OutputDir}}", (OutputDir(),)),
        ("{{ \t\n.SourceDir\r\n}}/a.c", (SourceDir(), "/a.c")),
        ("-I{{.SourceDir}}/include", ("-I", SourceDir(), "/include")),
        (f'{{{{index .Deps "{A}"}}}}/a.o', (DepDir(JobId(A)), "/a.o")),
        (f'{{{{  index\n.Deps\t"{A}"  }}}}', (DepDir(JobId(A)),)),
        (f"{{{{index .Deps `{A}`}}}}", (DepDir(JobId(A)),)),
        ("a \t\n{{- .OutputDir}} b", ("a", OutputDir(), " b")),
        ("a {{.OutputDir -}} \r\n b", ("a ", OutputDir(), "b")),
        ("a {{- .OutputDir -}} {{- .SourceDir -}} b", ("a", OutputDir(), SourceDir(), "b")),
        (" {{- .OutputDir -}} ", (OutputDir(),)),
        ("a\u00a0{{- .OutputDir}}", ("a\u00a0", OutputDir())),
        ("{{.OutputDir}}}}", (OutputDir(), "}}")),
        ("{{.OutputDir}}{{.OutputDir}}", (OutputDir(), OutputDir())),
    ],
)
def test_texts_that_go_accepts(text: str, parts: tuple[Part, ...]) -> None:
    """White space and trim markers mean what they mean in Go; text around the actions is kept."""
    assert parse(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{{}}",
        "{{.}}",
        "{{.Foo}}",
        "{{.outputdir}}",
        "{{.OutputDirectory}}",
        "{{. OutputDir}}",
        "{{{.OutputDir}}}",
        "{{-.OutputDir}}",
        "{{.OutputDir-}}",
        "{{ - .OutputDir}}",
        "{{.OutputDir - }}",
        "{{\u00a0.OutputDir}}",
        "{{.OutputDir | print}}",
        "{{7*7}}",
        '{{"{{"}}',
        "{{/* a comment */}}",
        "{{index .Deps}}",
        "{{index .Deps aa}}",
        '{{index .Deps "aa"}}',
        f'{{{{index .Deps "{A.upper()}"}}}}',
        f'{{{{index .Deps "{A}`}}}}',
        f'{{{{index .Deps"{A}"}}}}',
        f'{{{{index.Deps "{A}"}}}}',
        f'{{{{index .Deps "{A}" "{A}"}}}}',
        f'{{{{index .OutputDir "{A}"}}}}',
        "fine {{.SourceDir}} then {{.Nope}}",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Go would refuse most of these, too; the rest are beyond what a job needs."""
    with pytest.raises(TemplateError, match=r"is not known; a command may use|is never closed"):
        parse(text)


def test_a_refusal_names_the_action_and_what_is_allowed() -> None:
    """Whoever wrote the graph sees what to change, however long the text around it is."""
    with pytest.raises(TemplateError) as refusal:
        parse("x" * 1000 + "{{.Srcdir}}" + "y" * 1000)
    assert str(refusal.value) == (
        "{{.Srcdir}} is not known; a command may use {{.SourceDir}}, {{.OutputDir}} and "
        '{{index .Deps "<job id, 40 lower-case hex digits>"}}'
    )


def test_an_action_that_never_ends_is_shown_in_part() -> None:
    """The message stays readable even if the rest of a long text follows the braces."""
    with pytest.raises(TemplateError) as refusal:
        parse("{{" + "z" * 1000)
    assert str(refusal.value) == "{{" + "z" * 75 + "... is never closed with }}"


def test_dependencies_are_listed_in_order() -> None:
    """A reader of parts can tell whose artifacts a text needs."""
    b = "bb" * 20
    text = f'{{{{index .Deps "{b}"}}}}:{{{{.OutputDir}}}}:{{{{index .Deps "{A}"}}}}'
    assert dependencies(parse(text)) == (b, A)


def test_a_text_of_a_million_braces_takes_linear_time() -> None:
    """A hostile text is refused, or taken, without a regular expression running wild."""
    assert parse("{ " * 500_000) == ("{ " * 500_000,)
    with pytest.raises(TemplateError):
        parse("{{" + " " * 500_000 + "-" * 500_000)
    with pytest.raises(TemplateError):
        parse("{{index" + " " * 500_000)
