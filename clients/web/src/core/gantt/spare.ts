/** Attempts of a build whose records are out of reach: of each job the last one, as its snapshot tells. */

import type { Attempt, Outcome } from "../attempts.ts";
import type { Build } from "../build.ts";
import type { Job } from "../types.ts";

export function lastAttempts({ list }: Build): Attempt[] {
  const ran = list.filter((job) => job.started_at !== null && job.worker !== null && !job.reused);
  const positions = inOrder(ran);
  return ran.map((job) => attempt(job, positions)).sort((a, b) => a.from - b.from);
}

function attempt(job: Job, positions: ReadonlyMap<string, number>): Attempt {
  return { job: job.id, lease: job.lease ?? "", worker: job.worker!, number: job.attempt, reason: "", queuedAt: job.queued_at ?? job.started_at!,
    startedAt: job.started_at!, endedAt: job.ended_at, from: positions.get(`${job.id} begins`)!, upto: positions.get(`${job.id} ends`) ?? null,
    outcome: job.ended_at === null ? "running" : (job.state as Outcome), note: job.error ?? job.reason, fetchSeconds: 0 };
}

/** Positions that the records might have had: by time, and ends before what begins then. */
function inOrder(jobs: readonly Job[]): Map<string, number> {
  const events = jobs.flatMap((job) => [
    { at: job.started_at!, isEnd: 0, name: `${job.id} begins` },
    ...(job.ended_at === null ? [] : [{ at: job.ended_at, isEnd: job.ended_at > job.started_at! ? -1 : 1, name: `${job.id} ends` }]),
  ]);
  events.sort((a, b) => a.at - b.at || a.isEnd - b.isEnd);
  return new Map(events.map(({ name }, index) => [name, index + 1]));
}
