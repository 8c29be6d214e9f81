"""Graphs of jobs, drawn up in Python or read from files: JSON, or TOML that people write by hand."""

from clients.graphs.builder import (
    GraphBuilder,
    Line,
    artifact,
    check,
    job_id,
    output,
    source,
    source_id,
    write,
)

__all__ = ["GraphBuilder", "Line", "artifact", "check", "job_id", "output", "source", "source_id", "write"]
