"""What a line says: plain text in any case, and whether it is the one a person looks for."""

import pytest

from coordinator.matching import LINE_CHARS_MAX, Hit, Sight, count, matching, pattern, shown, sight


@pytest.mark.parametrize(
    ("text", "data", "lines"),
    [
        ("two", b"one\ntwo\nthree two\n", [Hit(1, 4), Hit(2, 8)]),
        ("TWO", b"one\ntwo", [Hit(1, 4)]),
        ("two", b"two TWO two\n", [Hit(0, 0)]),
        ("a.c", b"abc\na.c\n", [Hit(1, 4)]),
        ("\u00e4rger", "\u00c4RGER\nArger\n\u00e4rger".encode(), [Hit(0, 0), Hit(2, 13)]),
        ("\u00df", "gro\u00df GROSS".encode(), [Hit(0, 0)]),
        ("bad news", b"ok\n\x1b[1mbad\x1b[0m news\n", [Hit(1, 3)]),
        ("two", b"\x1b[32mone\x1b[0m\n\x1b]0;two\x07\n\n\x1b[31mtwo", [Hit(3, 23)]),
        ("[31m", b"\x1b[31mred\n", []),
        ("x", b"", []),
    ],
)
def test_lines_that_match_are_told_once_with_where_they_begin(
    text: str, data: bytes, lines: list[Hit]
) -> None:
    """Whatever the case; escape sequences neither hide nor are text, and count as bytes."""
    assert matching(data, pattern(text)) == lines
    assert count(data, pattern(text)) == len(lines)


@pytest.mark.parametrize(
    "line",
    [
        "main.c:3:5: error: 'x' undeclared",
        "main.c:3:5: error: unused variable 'x' [-Werror=unused-variable]",
        "main.c:1:10: fatal error: gone.h: No such file or directory",
        "src/app.ts(3,5): error TS2322: Type 'string' is not assignable",
        "error[E0308]: mismatched types",
        "ERROR: could not resolve",
        "ValueError: no",
        "java.lang.NullPointerException: null",
        "E       assert 1 == 2",
        "FAILED tests/test_x.py::test_y",
        "--- FAIL: TestFoo (0.00s)",
        "not ok 3 - parses",
        "fatal: not a git repository",
        "panic: runtime error",
        "thread 'main' panicked at src/main.rs:2:5",
        "x.o: in function `main': undefined reference to `f'",
        "sh: 1: gcc: not found",
        "cat: x: No such file or directory",
        "mkdir: cannot create directory '/x': Permission denied",
        "main: a.c:3: main: Assertion `x' failed.",
        "Segmentation fault (core dumped)",
        "\x1b[1m\x1b[31merror\x1b[0m: no",
        "CMake Error at CMakeLists.txt:3",
        "npm ERR! missing script: build",
    ],
)
def test_a_line_that_names_an_error(line: str) -> None:
    """The first one is found, with the first mention that came before it."""
    data = (
        f"[1/9] gcc -Werror -c main.c\n0 errors so far\nit may fail\nand fail\n{line}\nerror: too\n".encode()
    )
    assert sight(data) == Sight(Hit(4, data.index(line.encode())), Hit(2, data.index(b"it may")))


@pytest.mark.parametrize(
    "line",
    [
        "all good",
        "0 errors, 0 failures",
        "no errors",
        "errors: 0",
        "failed=0 ok=3",
        "x.c:1: warning: 'error' is unused",
        "gcc -Wno-error -c terror.c",
        "an error-free run",
    ],
)
def test_a_line_that_says_the_opposite(line: str) -> None:
    """Nothing to look at."""
    assert sight(line.encode()) == Sight(None, None)


def test_a_line_is_shown_as_inert_text() -> None:
    """Neither sequences, nor controls, nor marks that reorder text; and never more than some of it."""
    data = b"\x1b[31mbad\x1b[0m\x1b]8;;http://x\x07 \xe2\x80\xaenews\x00\xff\r\nnext"
    assert shown(data) == "bad news\ufffd"
    assert len(shown(b"x" * 9999)) == LINE_CHARS_MAX


@pytest.mark.parametrize(
    "piece", [b"assertion ", b"a.error", b"((((", b"x:1", b"1", b"error  ", b"fail", b"\x1b[0", b"\x1b]"]
)
def test_no_output_makes_it_slow(piece: bytes) -> None:
    """A quarter of a megabyte without a newline; with anything quadratic this would not end before lunch."""
    data = (b"error 1 " + piece * (1 << 18))[: 1 << 18]
    assert sight(data) == Sight(None, Hit(0, 0))
