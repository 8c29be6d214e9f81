"""A build from its client's side: its sources go up, its records are followed, what it made comes back."""

from clients.build.run import BuildRun, run_build

__all__ = ["BuildRun", "run_build"]
