"""What people call things and let jobs print who mean harm, or never thought of it."""

import re
import shlex

from clients.graphs import GraphBuilder
from tests.e2e.yard import shell

OWN = "document.title='owned'"
BUILD = f"<script>{OWN}</script>\u202e<b>bold</b>"
NAMES = (
    f"<script>{OWN}</script>",
    f'<img src=x onerror="{OWN}">',
    f'" onmouseover="{OWN}" onfocus="{OWN}" style="position:fixed;inset:0',
    f"javascript:{OWN}",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} {@html '<b>'}",
    "safe\u202egpj.exe \u2066\u2067\u2068 left open",
    "\u05e9\u05dc\u05d5\u05dd/\u0627\u0644\u0628\u0646\u0627\u0621",
    "e" + "\u0301" * 500,
    "x" * 10_000,
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "../../etc/passwd?job=-&at=1#/workers",
    " \t two\nlines \u2028 and \ufeff spaces ",
)
# What reorders the text around it, unseen itself.
REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SAID = (
    f"<script>{OWN}</script><img src=x onerror={OWN}>",
    r"\033[31mred\033[0m \033]0;owned\007\033]8;;javascript:alert(1)\033\\link\033]8;;\033\\",
    r"\033]52;c;b3duZWQ=\007\033[2J\033[99;99Hmoved\033[?1049h\2335m \377\376 \000 end",
    r"overwritten\rwritten",
    r"\342\200\256reversed\342\201\246",
)
PRINT = "\n".join(f"printf {shlex.quote(line)}; echo" for line in SAID)
LONG = "head -c 200000 /dev/zero | tr '\\0' 'x'"


def hostile(graph: GraphBuilder) -> GraphBuilder:
    """The first job prints all of it on both streams, and fails."""
    shell(graph, NAMES[0], PRINT, f"({PRINT}) >&2", LONG, "exit 1")
    for number, name in enumerate(NAMES[1:]):
        shell(graph, name, f": {number}")
    return graph


def shown(name: str) -> str:
    """A name as the page has it."""
    return REORDERING.sub("�", name)
