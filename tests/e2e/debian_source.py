"""Fetches the source of a Debian package with this machine's own apt, as an ordinary user, changing nothing.

The machine's package sources are read, their source counterparts are put into a directory of our own,
and apt keeps its lists there. So it works wherever binary packages can be installed, and no host is
named here. What was fetched is kept and used again.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

APT_SECONDS_MAX = 300
_OFFLINE = re.compile(
    r"Could not resolve|Temporary failure resolving|Could not connect|Network is unreachable"
)
_TARBALL = re.compile(r"\.orig\.tar\.[a-z0-9]+\Z")


class Offline(Exception):
    """The package archive cannot be reached from here."""


class NoSource(Exception):
    """apt can be asked, but did not deliver the source; the message has its words."""


def unpacked(package: str, *, cache: Path | None = None, etc: Path = Path("/etc/apt")) -> Path:
    """The directory with the package's upstream source, fetched if it is not in `cache` yet.

    Raises `Offline` and `NoSource`. The environment's TERZETTO_SOURCE_CACHE says where to keep sources
    otherwise than under the user's own cache directory.
    """
    home = (cache or cache_directory(os.environ)) / package
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{package}-") as name:
            tree = _fetch(package, Path(name), etc)
            try:
                tree.rename(home)
            except OSError:  # somebody else was quicker
                if not home.is_dir():
                    raise
    return home


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where sources are kept between runs: not in the project's own tree."""
    if own := environ.get("TERZETTO_SOURCE_CACHE"):
        return Path(own)
    base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "terzetto-tests"


def source_entries(etc: Path) -> dict[str, str]:
    """The source counterparts of the machine's package sources, by the name of a file for each."""
    found = {}
    for path in sorted([etc / "sources.list", *(etc / "sources.list.d").glob("*")]):
        if path.suffix == ".list" and path.is_file():
            found[path.name] = re.sub(r"^deb(?=\s)", "deb-src", path.read_text(), flags=re.MULTILINE)
        elif path.suffix == ".sources" and path.is_file():
            found[path.name] = re.sub(r"^Types:.*$", "Types: deb-src", path.read_text(), flags=re.MULTILINE)
    return found


def _fetch(package: str, directory: Path, etc: Path) -> Path:
    if shutil.which("apt-get") is None:
        raise Offline("there is no apt-get on this machine")
    options = _own_apt(directory, etc)
    _apt(directory, *options, "update")
    _apt(directory, *options, "--download-only", "--only-source", "source", package)
    tarballs = [path for path in directory.iterdir() if _TARBALL.search(path.name)]
    if len(tarballs) != 1:
        raise NoSource(f"apt-get source {package} brought {[path.name for path in tarballs]}")
    tree = directory / "tree"
    tree.mkdir()
    subprocess.run(
        ["tar", "--extract", "--file", tarballs[0], "--strip-components=1", "--no-same-owner", "-C", tree],
        check=True,
    )
    return tree


def _own_apt(directory: Path, etc: Path) -> list[str]:
    parts = directory / "sources.list.d"
    for part in (parts, directory / "lists" / "partial", directory / "cache" / "archives" / "partial"):
        part.mkdir(parents=True)
    for name, text in source_entries(etc).items():
        (parts / name).write_text(text)
    settings = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": parts,
        "Dir::State::Lists": directory / "lists",
        "Dir::Cache": directory / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _apt(directory: Path, *arguments: str) -> None:
    command = ["apt-get", "--quiet", *arguments]
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=APT_SECONDS_MAX,
        check=False,
    )
    # `update` succeeds with warnings when it cannot reach anything at all.
    if _OFFLINE.search(done.stdout) and (done.returncode or arguments[-1] == "update"):
        raise Offline(f"{' '.join(command[-2:])}: {done.stdout[-2000:]}")
    if done.returncode:
        raise NoSource(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}")
