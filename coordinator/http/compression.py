"""Smaller answers for whoever takes them gzipped."""

import zlib
from collections.abc import Iterator
from itertools import chain, islice

from werkzeug.datastructures import Accept

# Below this there is nothing to gain.
BYTES_MIN = 2048
# A view is made for one reader, who waits for it: nine tenths of what the best level saves, in half the time.
_VIEW_LEVEL = 1
_GZIP = 31
PACKED = {"Content-Encoding": "gzip"}
MAY_DIFFER = {"Vary": "Accept-Encoding"}


def accepts_gzip(accepted: Accept) -> bool:
    """Does the client say that it can unpack?"""
    return accepted.quality("gzip") > 0


def encoded(pieces: Iterator[bytes], may_be_packed: bool) -> tuple[bytes, dict[str, str]]:
    """A body, and the headers that say how to read it; packed only if it is large."""
    start = b"".join(islice(pieces, 3))
    if not may_be_packed or len(start) < BYTES_MIN:
        return start + b"".join(pieces), MAY_DIFFER
    packer = zlib.compressobj(_VIEW_LEVEL, wbits=_GZIP)
    packed = [packer.compress(piece) for piece in chain([start], pieces)]
    return b"".join([*packed, packer.flush()]), {**MAY_DIFFER, **PACKED}
