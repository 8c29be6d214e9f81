"""Where a verb's settings come from when no flag is given: environment, project file, user file, default.

click asks in that very order, the environment through each option's own variable and the files through
its default map; so here the files are only read, checked and merged.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from clients.cli import exits
from clients.cli.exits import Failure

Values = dict[str, Any]

# Keys at the top of the file, for every verb that has such an option.
SHARED: Mapping[str, type] = {"coordinator": str, "progress": str, "color": str, "log_level": str}
# Keys in a table of their own.
TABLES: Mapping[str, Mapping[str, type]] = {
    "server": {
        "bind": str,
        "data": str,
        "base_path": str,
        "lease_seconds": float,
        "worker_silence_seconds": float,
        "snapshot_records": int,
        "builds_kept": int,
        "jobs_kept": int,
        "days_kept": float,
        "fresh_megabytes": int,
        "fresh_days": float,
        "placement": str,
        "health_seconds": float,
        "composer_base_path": str,
        "composer_request_seconds": float,
        "composer_job_seconds": float,
        "composer_worker_seconds": float,
        "builders": str,
        "amqp": str,
        "auth_override": str,
    },
    "up": {"workers": int, "slots": int},
    "worker": {
        "bind": str,
        "advertise": str,
        "slots": int,
        "data": str,
        "id": str,
        "label": list,
        "cache_bytes_max": int,
        "engine": str,
        "dialect": str,
        "composer_base_path": str,
    },
}
# Which tables each verb reads, the later before the earlier.
READS: Mapping[str, tuple[str, ...]] = {
    "coordinator": ("server",),
    "up": ("server", "up"),
    "worker": ("worker",),
    "agent": ("server",),
    "doctor": ("server",),
    "log": ("server",),
}
CLIENT_VERBS = ("build", "watch", "cancel", "builds", "workers", "task", "output", "demo")
_TYPES: Mapping[type, str] = {
    str: "a text",
    int: "an integer",
    float: "a number",
    list: "a list of texts",
    dict: "a table",
}


def places(environ: Mapping[str, str], directory: Path) -> list[Path]:
    """The files there may be, the one that counts more last."""
    home = environ.get("HOME", "")
    user = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    files = [Path(user) / "terzetto" / "config.toml"] if user else []
    return [*files, directory / "terzetto.toml"]


def read(files: Iterable[Path]) -> Values:
    """The merged contents of the files that exist. Raises `Failure` for what no verb would read."""
    merged: Values = {}
    for file in files:
        for key, value in _checked(file).items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def defaults(values: Values) -> dict[str, Values]:
    """Per verb, what its options default to; click passes over what a verb has no option for."""
    shared = {key: value for key, value in values.items() if key in SHARED}
    result: dict[str, Values] = {}
    for verb in (*CLIENT_VERBS, *READS):
        result[verb] = dict(shared)
        for table in READS.get(verb, ()):
            result[verb].update(values.get(table, {}))
    return result


def _checked(file: Path) -> Values:
    try:
        text = file.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(exits.CONFIG, f"{file}: {error}") from error
    try:
        contents = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Failure(exits.CONFIG, f"{file}: {error}") from error
    known = {**SHARED, **dict.fromkeys(TABLES, dict)}
    values = _entries(file, "", contents, known)
    for table, keys in TABLES.items():
        if table in values:
            values[table] = _entries(file, f"{table}.", values[table], keys)
    return values


def _entries(file: Path, prefix: str, contents: Values, known: Mapping[str, type]) -> Values:
    entries: Values = {}
    for written, value in contents.items():
        key = written.replace("-", "_")
        if key not in known:
            raise _unknown(file, f"{prefix}{written}", prefix, known)
        if not _fits(value, known[key]):
            raise Failure(exits.CONFIG, f"{file}: {prefix}{written} must be {_TYPES[known[key]]}")
        entries[key] = value
    return entries


def _fits(value: object, wanted: type) -> bool:
    if wanted is list:
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if wanted is float else isinstance(value, wanted)


def _unknown(file: Path, name: str, prefix: str, known: Mapping[str, type]) -> Failure:
    everywhere = [*SHARED, *(f"{table}.{key}" for table, keys in TABLES.items() for key in keys), *TABLES]
    close = difflib.get_close_matches(name.replace("-", "_"), everywhere, n=1, cutoff=0.5)
    here = ", ".join(prefix + key for key in known)
    fix = f"did you mean {close[0]}?" if close else f"known here: {here}"
    return Failure(exits.CONFIG, f"{file}: unknown key {name!r}", fix=fix)
