"""What the operator chose, read once at the start and passed down."""

from pathlib import Path

from attrs import field, frozen, validators

from events.commands import Settings
from events.placement import POLICIES

_positive = validators.gt(0.0)


def _or_nothing(text: str | None) -> str:
    return text or ""


@frozen(kw_only=True)
class CoordinatorConfig:
    """All times in seconds; `data` holds everything that must survive.

    `client_grace_seconds`: how long a build whose client went away waits for it; `progress_seconds`: how
    often an idle stream says how far it has come; `drain_seconds`: how long streams and held heartbeats
    get to end by themselves on a stop, `grace_seconds` everything else. `snapshot_records`: after how many
    records a snapshot of the state is taken. `builds_kept`, `jobs_kept`, `days_kept`: how many builds that
    have ended are known, with how many jobs in all, and for how long. `fresh_megabytes`, `fresh_days`: how
    much of the log, and for how long, is not archived yet. `placement`: the policy that says which worker
    has a job, empty for whoever asks first; `health_seconds`: how often what serves is asked if it is well.
    Of the composer worker API `composer_base_path` is where it is below `base_path`; a request for a job
    waits for `composer_request_seconds` (0: for ever), a job lives unheard of for `composer_job_seconds`, a
    worker without one for `composer_worker_seconds`. `amqp`: the broker for
    requests, none if it is empty; `builders`: the file of branches and builders; `auth_override`: who asks,
    whoever asks.
    """

    bind: str = "127.0.0.1:8470"
    data: Path
    base_path: str = field(default="")
    amqp: str = ""
    builders: Path | None = None
    auth_override: str = ""
    lease_seconds: float = field(default=30.0, validator=_positive)
    worker_silence_seconds: float = field(default=30.0, validator=_positive)
    job_seconds_max: float = field(default=3600.0, validator=_positive)
    cache_timeout: float = 0.010
    deps_timeout: float = 0.100
    losses_max: int = field(default=3, validator=validators.ge(1))
    placement: str = field(default="", converter=_or_nothing, validator=validators.in_(("", *POLICIES)))
    health_seconds: float = field(default=60.0, validator=_positive)
    snapshot_records: int = field(default=100_000, validator=validators.ge(1))
    builds_kept: int = field(default=1000, validator=validators.ge(0))
    jobs_kept: int = field(default=100_000, validator=validators.ge(0))
    days_kept: float = field(default=30.0, validator=_positive)
    fresh_megabytes: int = field(default=32, validator=validators.ge(1))
    fresh_days: float = field(default=1.0, validator=_positive)
    composer_base_path: str = field(default="/api/worker/v1")
    composer_request_seconds: float = field(default=0.0, validator=validators.ge(0.0))
    composer_job_seconds: float = field(default=120.0, validator=_positive)
    composer_worker_seconds: float = field(default=3600.0, validator=_positive)
    client_grace_seconds: float = 10.0
    progress_seconds: float = field(default=15.0, validator=_positive)
    drain_seconds: float = 0.5
    grace_seconds: float = 4.0

    @base_path.validator
    def _check_base_path(self, _attribute: object, value: str) -> None:
        if value and (not value.startswith("/") or value.endswith("/")):
            raise ValueError(f"base path must start with / and not end with it, not {value!r}")

    @composer_base_path.validator
    def _check_composer_base_path(self, _attribute: object, value: str) -> None:
        if not value.startswith("/") or value.endswith("/"):
            raise ValueError(f"composer base path must start with / and not end with it, not {value!r}")

    @property
    def settings(self) -> Settings:
        """The part of it that decisions depend on, and that is therefore recorded."""
        return Settings(
            lease_seconds=self.lease_seconds,
            worker_silence_seconds=self.worker_silence_seconds,
            job_seconds_max=self.job_seconds_max,
            cache_timeout=self.cache_timeout,
            deps_timeout=self.deps_timeout,
            losses_max=self.losses_max,
            placement=self.placement,
            typed_lease_seconds=self.composer_job_seconds,
            asking_worker_seconds=self.composer_worker_seconds,
        )
