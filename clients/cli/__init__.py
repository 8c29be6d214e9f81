"""The `terzetto` command: one module per verb, each exposing a click command named `command`.

Nothing heavy is imported before it is known which verb is asked for, so that the command answers at once.
"""

import sys


def main() -> int:
    """The console entry point; returns the exit code."""
    if sys.argv[1:] == ["--version"]:
        from clients.cli.version import version

        sys.stdout.write(f"terzetto {version()}\n")
        return 0
    from clients.cli.root import run

    return run(sys.argv[1:])
