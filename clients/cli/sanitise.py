"""What a job prints may be hostile to a terminal: colours pass, everything else that acts is dropped.

Dropped are cursor moves, titles, links, clipboard writes, device strings, eight-bit controls and the
characters that reorder text; a lone carriage return becomes a new line, so nothing is overwritten.
"""

import codecs
import re

# Longer than any colour sequence; an unfinished sequence beyond it is no sequence.
PENDING_CHARS_MAX = 4096
RESET = "\x1b[0m"

_STRING_END = r"(?:\x07|\x1b\\|\x9c)"
_ACTION = re.compile(
    rf"""
      (?P<colour> (?:\x1b\[|\x9b) [0-9;:]* m )
    | (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]                            # other control sequences
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) [^\x07\x1b\x9c]* {_STRING_END}   # titles, links, clipboard
    | \x1b [ -/]* [0-~]                                              # two-character escapes
    | \r\n? | [\x00-\x08\x0b-\x1f\x7f-\x9f]
    | [\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]           # what reorders text
    """,
    re.VERBOSE,
)
# A sequence that has begun at the end of the text and may go on in the next piece.
_UNFINISHED = re.compile(
    r"""(?: \x1b\[ [0-?]* [ -/]* | \x9b [0-?]* [ -/]*
          | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) [^\x07\x1b\x9c]* \x1b?
          | \x1b [ -/]* | \r )\Z""",
    re.VERBOSE,
)


class Sanitiser:
    """Bytes of one stream in, harmless text out, however the bytes are cut into pieces."""

    def __init__(self, *, colour: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._colour = colour
        self._pending = ""
        self._is_coloured = False

    def feed(self, data: bytes) -> str:
        text = self._pending + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        cut = unfinished.start() if unfinished else len(text)
        if len(text) - cut > PENDING_CHARS_MAX:
            cut = len(text)
        text, self._pending = text[:cut], text[cut:]
        return _ACTION.sub(self._replace, text)

    def close(self) -> str:
        """What is left at the end, and the end of any colour."""
        text = _ACTION.sub(self._replace, self._pending + self._decoder.decode(b"", final=True))
        self._pending = ""
        return text + RESET if self._is_coloured else text

    def _replace(self, match: re.Match[str]) -> str:
        if match["colour"]:
            if self._colour:
                self._is_coloured = True
                return "\x1b[" + match["colour"].lstrip("\x1b\x9b[")
            return ""
        return "\n" if match[0].startswith("\r") else ""


def sanitise(data: bytes, *, colour: bool) -> str:
    """The whole of a stream at once."""
    sanitiser = Sanitiser(colour=colour)
    return sanitiser.feed(data) + sanitiser.close()
