/**
 * A build as its records tell it: a snapshot, or nothing, then record upon record.
 *
 * What a record does to a status is looked up in the coordinator's own tables; there is no second
 * interpreter here. What it says beside the status is in `SAYS`. Nothing in this module touches a page.
 */

import type { BuildInfo, BuildStateName, Job, JobState, LogRecord, Snapshot, Table, Tables } from "./types.ts";

type Said = Partial<Omit<Job, "id" | "name" | "state" | "deps">>;

const NEW = {
  worker: null, lease: null, queued_at: null, started_at: null, ended_at: null, exit_code: null, error: null,
  reason: "", reused: false, stdout_bytes: 0, stderr_bytes: 0,
} satisfies Said;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number => (typeof value === "number" ? value : 0);

const ended = (record: LogRecord): Said => ({ ended_at: record.at, reason: record.reason ?? "" });
const sizes = ({ stdout_bytes, stderr_bytes }: LogRecord): Said =>
  ({ stdout_bytes: number(stdout_bytes), stderr_bytes: number(stderr_bytes) });

/** What a record says about its job beside the status; fields are those of the snapshot. */
const SAYS: Readonly<Record<string, (record: LogRecord) => Said>> = {
  JobQueued: ({ at }) => ({ ...NEW, queued_at: at }),
  JobBlocked: ({ reason }) => ({ reason: text(reason) }),
  JobLeased: ({ worker, lease, attempt, at, reason }) =>
    ({ worker: text(worker), lease: text(lease), attempt: number(attempt), started_at: at, ended_at: null, reason: text(reason) }),
  JobReleased: ({ at, reason }) => ({ worker: null, lease: null, queued_at: at, started_at: null, reason: text(reason) }),
  JobSucceeded: (record) => ({ ...ended(record), ...sizes(record), exit_code: 0 }),
  JobFailed: (record) => ({
    ...ended(record), ...sizes(record), exit_code: number(record.exit_code), error: text(record.error), reason: text(record.error),
  }),
  JobCancelled: ended,
  JobReused: (record) =>
    ({ ...sizes(record), ended_at: record.at, exit_code: 0, reused: true, reason: "reused", lease: text(record.lease) }),
  JobReopened: ({ reason }) => ({ ...NEW, reason: text(reason) }),
};

/** The types of records that `Build.take` takes details from; a test holds them against the tables. */
export const KNOWN_JOB_EVENTS: readonly string[] = Object.keys(SAYS);

const NO_JOBS = { blocked: 0, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };

/** A record that may not follow what came before: some of what came before is missing. */
export class Unfollowable extends Error {}

export class Build {
  position: number;
  /** When the last record was written. */
  at: number;
  info: BuildInfo;
  /** In the order of the graph, which never changes. */
  list: Job[];
  counts: Record<JobState, number>;
  reused: number;
  firstFailed: string | null;
  private readonly places: Map<string, number>;
  private readonly tables: Tables;

  private constructor(from: Pick<Build, "position" | "at" | "info" | "list" | "counts" | "reused" | "firstFailed">,
    places: Map<string, number>, tables: Tables) {
    ({ position: this.position, at: this.at, info: this.info, list: this.list, counts: this.counts,
      reused: this.reused, firstFailed: this.firstFailed } = from);
    this.places = places;
    this.tables = tables;
  }

  /** The build of `GET api/builds/ID`. */
  static ofSnapshot({ position, build, jobs }: Snapshot, tables: Tables): Build {
    const failed = jobs.filter((job) => job.state === "failed").sort((a, b) => number(a.ended_at) - number(b.ended_at));
    return new Build({ position, at: build.started_at, info: build, list: [...jobs], counts: { ...build.counts },
      reused: build.reused, firstFailed: failed[0]?.id ?? null }, new Map(jobs.map((job, place) => [job.id, place])), tables);
  }

  /** The build at its first record, `BuildStarted`. */
  static ofStart(record: LogRecord, tables: Tables): Build {
    const info: BuildInfo = { id: text(record.build), name: text(record.name), state: "uploading", jobs: number(record.jobs),
      counts: NO_JOBS, reused: 0, started_at: record.at, ended_at: null, error: "", position: record.position };
    return new Build({ position: record.position, at: record.at, info, list: [], counts: { ...NO_JOBS }, reused: 0,
      firstFailed: null }, new Map(), tables);
  }

  /** The same moment once more, to go another way from it. Jobs are shared: they are never changed. */
  fork(): Build {
    return new Build({ ...this, list: this.list.slice(), counts: { ...this.counts } }, this.places, this.tables);
  }

  get hasEnded(): boolean {
    return Object.keys(this.tables.build[this.info.state]).length === 0;
  }

  job(id: string): Job | undefined {
    return this.list[this.placeOf(id)];
  }

  /** The job's place in `list`; -1 if it has none (yet). */
  placeOf(id: string): number {
    const place = this.places.get(id) ?? -1;
    return place < this.list.length ? place : -1;
  }

  /** Take one record in. What was told before is skipped. Throws `Unfollowable`. */
  take(record: LogRecord): void {
    if (record.position <= this.position) return;
    if (record.type === "JobAdded") this.add(record);
    else if (record.job !== undefined) this.moveJob(record, record.job);
    else this.moveBuild(record);
    this.position = record.position;
    if (record.at) this.at = record.at;
  }

  private add(record: LogRecord): void {
    const id = text(record.job);
    this.places.set(id, this.list.length);
    this.list.push({ ...NEW, id, name: text(record.name), deps: (record.deps ?? []) as string[], state: "blocked", attempt: 0 });
    this.counts.blocked += 1;
  }

  private moveJob(record: LogRecord, id: string): void {
    const place = this.placeOf(id);
    const job = this.list[place];
    if (job === undefined) throw new Unfollowable(`${record.type} at ${record.position} is about a job that was never added`);
    const state = next(this.tables.job, job.state, record) as JobState | null;
    if (state === null) return;
    this.counts[job.state] -= 1;
    this.counts[state] += 1;
    const after: Job = { ...job, ...SAYS[record.type]?.(record), state };
    this.list[place] = after;
    this.reused += Number(after.reused) - Number(job.reused);
    if (state === "failed") this.firstFailed ??= id;
  }

  private moveBuild(record: LogRecord): void {
    const state = next(this.tables.build, this.info.state, record) as BuildStateName | null;
    if (state === null) return;
    this.info = { ...this.info, state };
    if (this.hasEnded) this.info = { ...this.info, ended_at: record.at, error: text(record.error) || text(record.reason) };
  }
}

const movers = new WeakMap<Table, Set<string>>();

/** The status after the record; null if records of its type move nothing. Throws if it may not follow. */
function next(table: Table, status: string, record: LogRecord): string | null {
  const after = table[status][record.type];
  if (after !== undefined) return after;
  let types = movers.get(table);
  if (!types) movers.set(table, (types = new Set(Object.values(table).flatMap((row) => Object.keys(row)))));
  if (types.has(record.type)) throw new Unfollowable(`${record.type} at ${record.position} cannot follow ${status}`);
  return null;
}
