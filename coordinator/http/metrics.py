"""Numbers for Prometheus, computed from State when asked for, so that no one has to keep them right."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from coordinator.parts import Parts
from events.transitions import JobStatus


def exposition(parts: Parts) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(parts))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        state, journal = self._parts.core.state, self._parts.journal
        jobs = GaugeMetricFamily("terzetto_jobs", "Jobs of builds that have not ended", labels=["state"])
        for status in JobStatus:
            jobs.add_metric([status], sum(state.graphs[build].tally[status] for build in state.active))
        yield jobs
        workers = GaugeMetricFamily("terzetto_workers", "Workers by state", labels=["state"])
        workers.add_metric(["alive"], len(state.silence))
        workers.add_metric(["lost"], len(state.workers) - len(state.silence))
        yield workers
        yield GaugeMetricFamily("terzetto_leases", "Leases that are live", value=len(state.leases))
        yield GaugeMetricFamily(
            "terzetto_builds_active", "Builds that have not ended", value=len(state.active)
        )
        yield CounterMetricFamily("terzetto_records", "Records in the log", value=journal.durable)
        yield GaugeMetricFamily("terzetto_disk_full", "1 while writes are refused", value=journal.is_full)
        distrusted = bool(self._parts.core.distrust)
        yield GaugeMetricFamily("terzetto_unsound", "1 if the state contradicts itself", value=distrusted)
