"""Another version of Terzetto, asked what the log adds up to there."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

import events
from clients.cli import exits
from clients.cli.exits import Failure
from clients.cli.log import probe

# Each round looks at so many positions.
LOOKS = 16


@frozen
class Version:
    """An interpreter, and where `events` lies if it is not installed there."""

    python: str
    root: str

    @classmethod
    def ours(cls) -> "Version":
        return cls(sys.executable, str(Path(events.__file__).parents[1]))

    @classmethod
    def at(cls, path: Path) -> "Version":
        """Of a virtual environment, an interpreter or a checkout; raises `Failure`."""
        path = path.absolute()  # not resolved: an environment's interpreter is a link
        if (path / "bin" / "python").is_file():
            return cls(str(path / "bin" / "python"), "")
        if (path / "events" / "fold.py").is_file():
            return cls(sys.executable, str(path))
        if path.is_file():
            return cls(str(path), "")
        fix = "name a virtual environment, an interpreter in one, or a checkout"
        raise Failure(exits.BAD_FILE, f"there is no version of terzetto at {path}", fix=fix)


@frozen(kw_only=True)
class Parting:
    """The first position at which the two make something else of the log; their answers there."""

    position: int
    ours: dict[str, Any]
    theirs: dict[str, Any]


def first_parting(lines: Path, head: int, ours: Version, theirs: Version) -> Parting | None:
    """Look at a few positions, then ever more closely before the first at which they differ."""
    low, high = 0, head
    while True:
        step = max(1, -(-(high - low) // LOOKS))
        looks = [*range(low + step, high, step), high] if high else []
        told = [ask(version, lines, looks) for version in (ours, theirs)]
        differing = next((look for look in looks if told[0].get(look) != told[1].get(look)), None)
        if differing is None:
            return None
        low, high = max((look for look in looks if look < differing), default=low), differing
        if high - low == 1:
            shown = [_shown(version, lines, high) for version in (ours, theirs)]
            return Parting(position=high, ours=shown[0], theirs=shown[1])


def ask(
    version: Version, lines: Path, positions: Iterable[int], *, shows: bool = False
) -> dict[int, dict[str, Any]]:
    """What it says of each position; of the one that it cannot follow, the error."""
    arguments = [*map(str, positions), *(["--show"] if shows else [])]
    program = Path(probe.__file__).read_text()
    with lines.open("rb") as stdin:
        done = subprocess.run(  # noqa: S603  # whose path it is asked for it
            [version.python, "-P", "-c", program, version.root, *arguments],
            stdin=stdin,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        raise Failure(exits.BAD_FILE, f"{version.root or version.python} cannot be asked: {reason[0]}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {answer.pop("position"): answer for answer in answers}


def _shown(version: Version, lines: Path, position: int) -> dict[str, Any]:
    return ask(version, lines, [position], shows=True).get(position, {"error": "it could not follow so far"})


def differences(ours: Any, theirs: Any, path: str = "") -> Sequence[tuple[str, Any, Any]]:
    """The places in which two values differ, and what stands there."""
    if ours == theirs:
        return ()
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = dict.fromkeys((*ours, *theirs))
        return [d for name in names for d in differences(ours.get(name), theirs.get(name), f"{path}/{name}")]
    if _is_table(ours) and _is_table(theirs):
        left, right = ({json.dumps(key): value for key, value in table} for table in (ours, theirs))
        if list(left) == list(right) or left.keys() != right.keys():
            return differences(left, right, path)
    return [(path or "/", ours, theirs)]


def _is_table(value: Any) -> bool:
    """Is this a dict, as the probe puts it?"""
    return isinstance(value, list) and all(isinstance(item, list) and len(item) == 2 for item in value)
