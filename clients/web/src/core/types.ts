/** What the coordinator tells, in its own words; the fields are those of `GET api/…` and of the records. */

export type JobState = "blocked" | "queued" | "running" | "succeeded" | "failed" | "cancelled";
export type BuildStateName = "uploading" | "running" | "succeeded" | "failed" | "cancelled";

/** A fact: flat, with the event's own fields. `at` in seconds since 1970. */
export interface LogRecord {
  readonly position: number;
  readonly at: number;
  readonly type: string;
  readonly build?: string;
  readonly job?: string;
  readonly worker?: string;
  readonly lease?: string;
  readonly reason?: string;
  readonly [field: string]: unknown;
}

export type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** `GET api/transitions`: `{kind: {state: {event type: state}}}`. */
export interface Tables {
  readonly job: Table;
  readonly build: Table;
}

/** A job at one moment: never changed, but replaced, so that `===` tells whether anything happened to it. */
export interface Job {
  readonly id: string;
  readonly name: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly worker: string | null;
  readonly lease: string | null;
  readonly deps: readonly string[];
  readonly queued_at: number | null;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly exit_code: number | null;
  readonly error: string | null;
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
  readonly reason: string;
  readonly reused: boolean;
}

/** A build without its jobs; replaced like a job. */
export interface BuildInfo {
  readonly id: string;
  readonly name: string;
  readonly state: BuildStateName;
  readonly jobs: number;
  readonly counts: Readonly<Record<JobState, number>>;
  readonly reused: number;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly error: string;
  readonly position: number;
}

/** `GET api/builds/ID`. */
export interface Snapshot {
  readonly position: number;
  readonly build: BuildInfo;
  readonly jobs: readonly Job[];
}

export interface LeaseView {
  readonly id: string;
  readonly build: string;
  readonly job: string;
  readonly name: string;
  readonly leased_at: number;
}

export interface WorkerView {
  readonly id: string;
  readonly state: "alive" | "draining" | "lost";
  readonly slots: number;
  readonly slots_free: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly native: boolean;
  readonly last_seen: number;
  readonly leases: readonly LeaseView[];
  readonly artifacts: number;
}

/** `GET api/status`; `read_only` is empty unless nothing can be changed now; `log`: a file that is only looked at. */
export interface Status {
  readonly version: string;
  readonly position: number;
  readonly at: number;
  readonly log: string | null;
  readonly read_only: string;
}
