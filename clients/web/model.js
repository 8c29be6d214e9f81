/**
 * A build as its records tell it: a snapshot, then record upon record.
 *
 * What a record does to a status is looked up in the coordinator's own tables; there is no second
 * interpreter here. Nothing in this module touches the page, so it runs anywhere.
 */

const NEW = { attempt: 0, worker: null, lease: null, queued_at: null, started_at: null, ended_at: null,
  exit_code: null, error: null, reason: "", reused: false, stdout_bytes: 0, stderr_bytes: 0 };

const ended = (record) => ({ ended_at: record.at, reason: record.reason ?? "",
  stdout_bytes: record.stdout_bytes ?? 0, stderr_bytes: record.stderr_bytes ?? 0 });

/** What a record says about its job beside the status; fields are those of the snapshot. */
const SAYS = {
  JobQueued: (record) => ({ ...NEW, attempt: undefined, queued_at: record.at }),
  JobBlocked: (record) => ({ reason: record.reason }),
  JobLeased: ({ worker, lease, attempt, at, reason }) =>
    ({ worker, lease, attempt, started_at: at, ended_at: null, reason }),
  JobReleased: ({ at, reason }) => ({ worker: null, lease: null, queued_at: at, started_at: null, reason }),
  JobSucceeded: (record) => ({ ...ended(record), exit_code: 0 }),
  JobFailed: (record) =>
    ({ ...ended(record), exit_code: record.exit_code, error: record.error, reason: record.error }),
  JobCancelled: ended,
  JobReused: (record) => ({ ended_at: record.at, exit_code: 0, reused: true, reason: "reused", lease: record.lease }),
  JobReopened: (record) => ({ ...NEW, attempt: undefined, reason: record.reason }),
};

export class Build {
  /** `snapshot`: GET api/builds/ID; `tables`: GET api/transitions. */
  constructor(snapshot, tables) {
    this.position = snapshot.position;
    this.info = snapshot.build;
    this.list = snapshot.jobs; // in the order of the graph, which never changes
    this.jobs = new Map(this.list.map((job) => [job.id, job]));
    this.counts = { ...snapshot.build.counts };
    this.tables = tables;
    const failed = this.list.filter((job) => job.state === "failed").sort((a, b) => a.ended_at - b.ended_at);
    this.firstFailed = failed[0]?.id ?? null;
  }

  get hasEnded() {
    return Object.keys(this.tables.build[this.info.state]).length === 0;
  }

  /** Take one record in. What was told before is skipped. Throws when it cannot follow what came before. */
  take(record) {
    if (record.position <= this.position) return;
    if (record.type === "JobAdded") this.#add(record);
    else if (record.job !== undefined) this.#moveJob(record);
    else this.#moveBuild(record);
    this.position = record.position;
  }

  #add({ job: id, name = "", deps = [] }) {
    const job = { ...NEW, id, name, deps, state: "blocked" };
    this.list.push(job);
    this.jobs.set(id, job);
    this.counts.blocked += 1;
  }

  #moveJob(record) {
    const job = this.jobs.get(record.job);
    const state = next(this.tables.job, job.state, record);
    if (state === null) return;
    this.counts[job.state] -= 1;
    this.counts[state] += 1;
    const said = SAYS[record.type]?.(record) ?? {};
    Object.assign(job, said, { state, attempt: said.attempt ?? job.attempt });
    if (state === "failed") this.firstFailed ??= job.id;
  }

  #moveBuild(record) {
    const state = next(this.tables.build, this.info.state, record);
    if (state === null) return;
    this.info.state = state;
    if (!this.hasEnded) return;
    this.info.ended_at = record.at;
    this.info.error = record.error ?? record.reason ?? "";
  }
}

/** The status after the record; null if records of its type move nothing. Throws if it may not follow. */
function next(table, status, record) {
  const after = table[status][record.type];
  if (after !== undefined) return after;
  if (Object.values(table).some((row) => record.type in row)) {
    throw new Error(`${record.type} at ${record.position} cannot follow ${status}`);
  }
  return null;
}

/**
 * The coordinator's time, in seconds since 1970, for durations that tick.
 *
 * Every time that it tells lies in its past, so the least difference ever seen is the best guess.
 */
export class Clock {
  #lag = Infinity;
  #frozen = null;

  hear(at) {
    this.#lag = Math.min(this.#lag, Date.now() / 1000 - at);
  }

  now() {
    return this.#frozen ?? Date.now() / 1000 - (Number.isFinite(this.#lag) ? this.#lag : 0);
  }

  /** While nothing is heard nothing may seem to go on. */
  freeze(isFrozen) {
    this.#frozen = isFrozen ? this.now() : null;
  }
}
