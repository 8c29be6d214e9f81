"""Does each promise have a test that misses it? `python -m tests.mutants` takes them away, one at a time.

In a copy of the tree, so that nobody else's tests see a mutant. Prints a line for each: what was taken away,
the first test that missed it and after how many seconds. Exit code 1 if something was not missed, or cannot
be taken away because the code has become another.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.catalog import MUTANTS, REST, Mutant

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("events", "coordinator", "clients", "workers", "tests")
FILES = ("pyproject.toml", "README.md", "Makefile")
NOT_NEEDED = shutil.ignore_patterns("__pycache__", "node_modules")
SECONDS_MAX = 600.0
# As a test ends, or in the summary, which is not there if what a mutant left behind ends pytest itself.
RED = re.compile(r"^(\S+::\S+).* (?:FAILED|ERROR)|^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Copy:
    """The tree, free to be changed; what runs in it sees no other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in PACKAGES:
            shutil.copytree(ROOT / name, directory / name, ignore=NOT_NEEDED)
        for name in FILES:
            shutil.copy(ROOT / name, directory)
        self._environ = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
        self._assert_is_imported()

    def _assert_is_imported(self) -> None:
        names = ", ".join(PACKAGES)
        words = ["-P", "-c", f"import json, {names}; print(json.dumps([m.__file__ for m in ({names})]))"]
        files = json.loads(self._run(words, SECONDS_MAX).stdout)
        assert all(Path(file).is_relative_to(self._directory) for file in files), files

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        file = self._directory / mutant.file
        text = file.read_text()
        file.write_text(apply(mutant, text))
        try:
            yield
        finally:
            file.write_text(text)

    def first_red(self, tests: Sequence[str]) -> str | None:
        """The first test of these that fails; None if none does."""
        words = ["-m", "pytest", "-v", "-x", "-p", "no:cacheprovider", *tests]
        try:
            ran = self._run(words, SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return f"(not within {SECONDS_MAX:g} s)"
        if ran.returncode == 0:
            return None
        found = RED.search(ran.stdout)
        assert found, ran.stdout + ran.stderr
        return found[1] or found[2]

    def _run(self, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self._directory,
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )


def apply(mutant: Mutant, text: str) -> str:
    """Take it away; AssertionError unless there is exactly one place to do so."""
    assert text.count(mutant.old) == 1, f"{mutant.gone}: {mutant.file} has another text now"
    return text.replace(mutant.old, mutant.new)


def main(words: Sequence[str]) -> int:
    """Those whose description has the words, or all of them."""
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.gone for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="terzetto-mutants-") as name:
        copy = Copy(Path(name))
        sound = copy.first_red(sorted({test for mutant in chosen for test in mutant.tests}))
        assert sound is None, f"{sound} fails although nothing was taken away"
        print(f"{'taken away':<48} {'seconds':>7}  first test that missed it")
        for mutant in chosen:
            began = time.monotonic()
            with copy.mutated(mutant):
                red = copy.first_red(mutant.tests) or copy.first_red(REST)
            survivors += red is None
            seconds = time.monotonic() - began
            print(f"{mutant.gone:<48} {seconds:7.1f}  {red or 'NONE'}", flush=True)
    print(f"{len(chosen)} taken away, {survivors} not missed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
