/** States, durations and reasons in words: the same ones everywhere on the page. */

export const ICONS = { uploading: "⇡", blocked: "◌", queued: "○", running: "◐", succeeded: "✓", reused: "⤓",
  failed: "✗", cancelled: "⊘" };

/** Why a worker got a job, and why it lost it again; other codes are read as they stand. */
const REASONS = {
  "first-come": "",
  "holds-dependency": "went where a dependency's artifact lies",
  "holds-result": "went where an earlier result lies",
  "waited-for-dependency": "the worker with a dependency's artifact was busy",
  "waited-for-result": "the worker with an earlier result was busy",
  shared: "shared with another build that wants the same work",
  "worker-lost": "its worker was lost",
  "lease-ran-out": "its time limit ran out",
  "never-taken": "its worker never took it",
  "artifact-lost": "an artifact was lost",
  "artifact-unavailable": "an artifact could not be fetched",
  "dependency-failed": "a dependency failed",
  "build-failed": "the build failed",
  "build-cancelled": "the build was cancelled",
};

export const look = (job) => (job.reused ? "reused" : job.state);
export const label = (thing) => thing.name || thing.id.slice(0, 8);
export const said = (reason) => REASONS[reason] ?? reason;
export const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
export const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** `0.4s`, `42s`, `1m 03s`, `2h 05m`; tenths only for what has ended. */
export function duration(seconds, isRunning = false) {
  const two = (number) => String(number).padStart(2, "0");
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 10 && !isRunning) return `${Math.max(0, seconds).toFixed(1)}s`;
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** The time of day, with the day when it is not today. */
export function clockTime(at) {
  const then = new Date(at * 1000);
  const time = then.toLocaleTimeString("en-GB");
  return then.toDateString() === new Date().toDateString() ? time : `${then.toISOString().slice(0, 10)} ${time}`;
}

/** How long the job waited for a worker, or has been waiting; "" if it never did. */
export function waited(job, now) {
  if (job.queued_at === null || job.reused) return "";
  const until = job.started_at ?? job.ended_at;
  return duration((until ?? now) - job.queued_at, until === null);
}

/** How long the last attempt ran, or has been running; "" if none did. */
export function ran(job, now) {
  if (job.started_at === null || job.reused) return "";
  return duration((job.ended_at ?? now) - job.started_at, job.ended_at === null);
}

/** Why the job is where it is, in a few words. */
export function why(job, build, farm) {
  switch (look(job)) {
    case "blocked": return build.info.state === "uploading" ? "waits for source files" : waitsFor(job, build);
    case "queued": return (job.reason ? `again: ${said(job.reason)}; ` : "") + farm.shortage();
    case "reused": return "the same work was done before";
    case "failed": return job.error || `exit code ${job.exit_code}`;
    default: return said(job.reason);
  }
}

function waitsFor(job, build) {
  const open = job.deps.map((id) => build.jobs.get(id)).filter((dep) => dep && dep.state !== "succeeded");
  const names = open.slice(0, 2).map(label).join(", ");
  return open.length ? `waits for ${many(open.length, "job")}: ${names}${open.length > 2 ? ", …" : ""}` : "";
}
