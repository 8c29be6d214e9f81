/** The digest of what is shown, made as the coordinator makes its own: see GET api/builds/ID/digest. */

import type { Build } from "./build.ts";
import type { Job } from "./types.ts";

/** SHA-256 in hex; null where the browser has none to offer: pages that came over plain HTTP from another machine. */
export async function digest(build: Build): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const bytes = new TextEncoder().encode(canonical(build));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A line for the build, then one for each job in the order of the graph. */
export function canonical({ info, list }: Build): string {
  const head = [info.id, info.state, info.ended_at, info.error];
  return [head, ...list.map(jobLine)].map((line) => `${JSON.stringify(line)}\n`).join("");
}

const jobLine = (job: Job): unknown[] => [
  job.id, job.state, job.attempt, job.worker, job.lease, job.queued_at, job.started_at, job.ended_at, job.exit_code,
  job.error, job.reason, job.reused, job.stdout_bytes, job.stderr_bytes,
];
