"""Which version this is, told without importing anything but the standard library."""

from importlib import metadata


def version() -> str:
    """The installed distribution's version, such as `0.1.0`."""
    return metadata.version("terzetto")
