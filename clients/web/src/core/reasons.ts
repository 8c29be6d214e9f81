/** Why a job is where it is, in a few words, from what the page holds; `api/…/why` tells the whole story. */

import type { Build } from "./build.ts";
import type { Farm } from "./farm.ts";
import type { Job } from "./types.ts";
import { label, look, many, said } from "./words.ts";

export function shortReason(job: Job, build: Build, farm: Farm, isPast: boolean): string {
  switch (look(job)) {
    case "blocked": return build.info.state === "uploading" ? "waits for source files" : waitsFor(job, build);
    case "queued": return (job.reason ? `again: ${said(job.reason)}; ` : "") + (isPast ? "waits for a worker" : farm.shortage());
    case "reused": return "the same work was done before";
    case "failed": return job.error || `exit code ${job.exit_code}`;
    default: return said(job.reason);
  }
}

function waitsFor(job: Job, build: Build): string {
  const open: Job[] = [];
  for (const id of job.deps) {
    const dependency = build.job(id);
    if (dependency && dependency.state !== "succeeded") open.push(dependency);
  }
  const names = open.slice(0, 2).map(label).join(", ");
  return open.length ? `waits for ${many(open.length, "job")}: ${names}${open.length > 2 ? ", …" : ""}` : "";
}
