/** Every lease that a job of the build ever had, those that were lost or cancelled included. */

import type { LogRecord } from "./types.ts";

export type Outcome = "running" | "succeeded" | "failed" | "released" | "cancelled";

export interface Attempt {
  readonly job: string;
  readonly lease: string;
  readonly worker: string;
  readonly number: number;
  /** Why this worker got it: the code in JobLeased. */
  readonly reason: string;
  /** Seconds since 1970: since when the job waited, when the lease began, when it ended (null: not yet). */
  readonly queuedAt: number;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Positions of the records that began and ended it. */
  readonly from: number;
  readonly upto: number | null;
  readonly outcome: Outcome;
  /** Why it ended, where that was told: a release's or cancellation's reason, a failure's error. */
  readonly note: string;
  /** For how long the worker first fetched what the job reads; told when it ends, 0 until then. */
  readonly fetchSeconds: number;
}

const ENDS: Readonly<Record<string, Outcome>> = {
  JobSucceeded: "succeeded", JobFailed: "failed", JobReleased: "released", JobCancelled: "cancelled",
};

export class Attempts {
  /** In the order in which they began; the ones that have ended are replaced, not changed. */
  readonly list: Attempt[] = [];
  private readonly open = new Map<string, number>();
  private readonly queuedAt = new Map<string, number>();

  take(record: LogRecord): void {
    const { job } = record;
    if (job === undefined) return;
    if (record.type === "JobQueued") this.queuedAt.set(job, record.at);
    else if (record.type === "JobLeased") this.begin(record, job);
    else if (record.type in ENDS) this.end(record, job);
    if (record.type === "JobReleased") this.queuedAt.set(job, record.at);
  }

  /** As they stood at a position: what began later is not there yet, what ended later still runs. */
  upto(position: number): Attempt[] {
    const seen: Attempt[] = [];
    for (const attempt of this.list) {
      if (attempt.from > position) break;
      const isOpen = attempt.upto !== null && attempt.upto > position;
      seen.push(isOpen ? { ...attempt, endedAt: null, upto: null, outcome: "running", note: "", fetchSeconds: 0 } : attempt);
    }
    return seen;
  }

  private begin({ at, position, lease, worker, attempt, reason }: LogRecord, job: string): void {
    this.open.set(job, this.list.length);
    this.list.push({ job, lease: String(lease), worker: String(worker), number: Number(attempt), reason: reason ?? "",
      queuedAt: this.queuedAt.get(job) ?? at, startedAt: at, endedAt: null, from: position, upto: null, outcome: "running", note: "",
      fetchSeconds: 0 });
  }

  private end({ type, at, position, reason, error, fetch_seconds }: LogRecord, job: string): void {
    const place = this.open.get(job);
    if (place === undefined) return; // a job that never ran was cancelled
    this.open.delete(job);
    this.list[place] = { ...this.list[place], endedAt: at, upto: position, outcome: ENDS[type], note: String(error ?? reason ?? ""),
      fetchSeconds: Number(fetch_seconds ?? 0) };
  }
}
