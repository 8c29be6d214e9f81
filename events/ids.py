"""Names for things: every id is its own type, so that mypy keeps a job's apart from a lease's.

All ids are text on the wire and in the log. Builds, jobs and sources are 40 lower-case hex digits
(20 bytes, distbuild's `build.ID`); leases are 32 hex digits of randomness, because a lease's id is the
secret that entitles a worker to report; a worker's id is whatever the worker calls itself. Files are named by
UUIDs.
"""

import re
from typing import NewType

BuildId = NewType("BuildId", str)
JobId = NewType("JobId", str)
SourceId = NewType("SourceId", str)
FileId = NewType("FileId", str)
LeaseId = NewType("LeaseId", str)
WorkerId = NewType("WorkerId", str)
# sha256 over what a job is made of: its commands, its sources' contents, its dependencies' digests.
SpecDigest = NewType("SpecDigest", str)
# sha256 of a blob's bytes, 64 hex digits.
BlobDigest = NewType("BlobDigest", str)
# 1, 2, 3 …: a wish that is logged to be carried out later (buildapi's job request).
RequestId = NewType("RequestId", int)
NO_REQUEST = RequestId(0)
# 1, 2, 3 … in the log, without a hole; 0 is "before the first record".
Position = NewType("Position", int)
BEGINNING = Position(0)

# Names that no worker that reports may have: the coordinator's, which holds the artifacts of typed jobs
# itself, and those of workers that ask for such jobs; `ANONYMOUS` are all who do not say who they are.
COORDINATOR = WorkerId("coordinator")
ASKING = "composer/"
ANONYMOUS = WorkerId(f"{ASKING}anonymous")

_HEX40 = re.compile(r"[0-9a-f]{40}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def is_hex40(text: str) -> bool:
    """Is this a distbuild id: exactly 40 lower-case hex digits?"""
    return _HEX40.match(text) is not None


def is_uuid(text: str) -> bool:
    """Is this a UUID in its usual form, in lower case?"""
    return _UUID.match(text) is not None


def as_uuid(digits: str) -> str:
    """32 random hex digits as a UUID of version 4; those of such a UUID stay what they are."""
    variant = f"{int(digits[16], 16) & 3 | 8:x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def source_of(blob: BlobDigest) -> SourceId:
    """The source id of a blob that whoever stored it gave no id: the beginning of its digest."""
    return SourceId(blob[:40])
