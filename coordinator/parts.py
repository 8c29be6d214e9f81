"""What a facade is handed: the coordinator's parts, put together once at the start."""

from attrs import frozen

from clients.agent import Branches
from coordinator.answers import Answers
from coordinator.artifacts import ArtifactStore
from coordinator.asking import Asking
from coordinator.attendance import Attendance
from coordinator.blobs import BlobStore
from coordinator.config import CoordinatorConfig
from coordinator.core import Coordinator
from coordinator.disk import RunSync
from coordinator.dispatch import Dispatch
from coordinator.files import Files
from coordinator.heartbeats import Heartbeats
from coordinator.http.audience import Audiences
from coordinator.journal import Journal
from coordinator.keeper import Keeper
from coordinator.lines import Lines
from coordinator.nodes import Nodes
from coordinator.output import OutputStore
from coordinator.quiet import Quiet
from coordinator.requests import Requests
from coordinator.sources import Sources


@frozen(kw_only=True)
class Parts:
    config: CoordinatorConfig
    core: Coordinator
    journal: Journal
    dispatch: Dispatch
    quiet: Quiet
    heartbeats: Heartbeats
    sources: Sources
    files: Files
    asking: Asking
    answers: Answers
    artifacts: ArtifactStore
    attendance: Attendance
    blobs: BlobStore
    outputs: OutputStore
    lines: Lines
    run_sync: RunSync
    audiences: Audiences
    keeper: Keeper | None
    nodes: Nodes
    branches: Branches
    requests: Requests
