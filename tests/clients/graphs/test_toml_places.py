"""Complaints name lines; a wrong line would be worse than none."""

import tomllib

from clients.graphs.toml_places import dotted, line_of, places

TEXT = '''\
title = "t"

[jobs."a.o"]   # a comment
run = """
[jobs.fake]
run2 = 1
"""
env.A = "1"
env.B = "2"
cmds = [
  ["x"],
]
[ jobs . b ]
"quoted key" = 1
'''


def test_tables_and_keys_have_their_lines() -> None:
    """Headers in any spelling, dotted and quoted keys; what only looks like a table is not taken for one."""
    assert places(TEXT, tomllib.loads(TEXT)) == {
        ("title",): 1,
        ("jobs",): 3,
        ("jobs", "a.o"): 3,
        ("jobs", "a.o", "run"): 4,
        ("jobs", "a.o", "env"): 8,
        ("jobs", "a.o", "env", "A"): 8,
        ("jobs", "a.o", "env", "B"): 9,
        ("jobs", "a.o", "cmds"): 10,
        ("jobs", "b"): 13,
        ("jobs", "b", "quoted key"): 14,
    }


def test_an_unknown_place_has_the_line_of_what_holds_it() -> None:
    """A key inside an inline table is found by the table's line; nothing at all has no line."""
    found = places(TEXT, tomllib.loads(TEXT))
    assert line_of(("jobs", "b", "quoted key", "inner"), found) == 14
    assert line_of(("nowhere",), found) is None


def test_places_are_written_as_in_toml() -> None:
    """Only names that need quotes get them."""
    assert dotted(("jobs", "a-b", "c.o")) == 'jobs.a-b."c.o"'
