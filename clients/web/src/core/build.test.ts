import { expect, test } from "vitest";
import { Build, Unfollowable } from "./build.ts";
import { History } from "./history.ts";
import { canonical } from "./digest.ts";
import { records, TABLES } from "./testing.ts";

const take = (all: ReturnType<typeof records>): Build => {
  const build = Build.ofStart(all[0], TABLES);
  for (const record of all.slice(1)) build.take(record);
  return build;
};

test("statuses follow from the tables, details from the records", () => {
  const build = take(records(
    ["BuildStarted", { name: "nightly", jobs: 2 }], ["JobAdded", { job: "a", name: "compile" }], ["JobAdded", { job: "b", deps: ["a"] }],
    ["SourcesReady"], ["JobQueued", { job: "a" }], ["JobLeased", { job: "a", worker: "w", lease: "l", attempt: 1, reason: "first-come" }],
    ["JobFailed", { job: "a", lease: "l", exit_code: 3, error: "exit status 3", stderr_bytes: 9 }],
    ["JobCancelled", { job: "b", reason: "dependency-failed" }], ["BuildFailed", { error: "1 job failed" }]));
  expect(build.info).toMatchObject({ state: "failed", error: "1 job failed", ended_at: 9 });
  expect(build.job("a")).toMatchObject({ state: "failed", attempt: 1, worker: "w", exit_code: 3, reason: "exit status 3", stderr_bytes: 9,
    queued_at: 5, started_at: 6, ended_at: 7 });
  expect(build.job("b")).toMatchObject({ state: "cancelled", deps: ["a"], reason: "dependency-failed" });
  expect(build.counts).toMatchObject({ failed: 1, cancelled: 1, blocked: 0 });
  expect([build.firstFailed, build.hasEnded]).toEqual(["a", true]);
});

test("what was told before is skipped", () => {
  const all = records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }]);
  const build = take(all);
  build.take(all[1]);
  expect(build.list).toHaveLength(1);
});

test("a record that cannot follow is refused", () => {
  const all = records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }], ["JobSucceeded", { job: "a" }]);
  expect(() => take(all)).toThrow(Unfollowable);
  expect(() => take(records(["BuildStarted"], ["JobQueued", { job: "x" }]))).toThrow(Unfollowable);
});

test("a job that runs again begins anew", () => {
  const build = take(records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }], ["SourcesReady"], ["JobQueued", { job: "a" }],
    ["JobLeased", { job: "a", worker: "w", lease: "l", attempt: 1 }], ["JobSucceeded", { job: "a", lease: "l", stdout_bytes: 7 }],
    ["JobReopened", { job: "a", reason: "artifact-lost" }]));
  expect(build.job("a")).toMatchObject({ state: "blocked", attempt: 1, worker: null, ended_at: null, stdout_bytes: 0, reason: "artifact-lost" });
});

test("a fork goes its own way", () => {
  const build = take(records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }], ["SourcesReady"]));
  const fork = build.fork();
  fork.take({ position: 9, at: 9, type: "JobQueued", build: "B", job: "a" });
  expect([build.job("a")!.state, fork.job("a")!.state, build.counts.queued]).toEqual(["blocked", "queued", 0]);
});

test("any moment of a long history is what its records up to there say", () => {
  const all = long(1500);
  const history = new History(TABLES);
  history.take(all);
  const build = Build.ofStart(all[0], TABLES);
  const expected = new Map<number, string>();
  for (const record of all) {
    build.take(record);
    if (record.position % 97 === 0) expected.set(record.position, canonical(build));
  }
  // There and back, near and far.
  const positions = [...expected.keys()];
  for (const turn of positions.keys()) {
    const position = positions[(turn * 29) % positions.length];
    expect(canonical(history.at(position)!) === expected.get(position), `position ${position}`).toBe(true);
  }
  expect(history.at(0)).toBeNull();
  expect(canonical(history.at(1e9)!)).toBe(canonical(build));
});

test("attempts stand as they stood", () => {
  const history = new History(TABLES);
  history.take(records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }], ["SourcesReady"], ["JobQueued", { job: "a" }],
    ["JobLeased", { job: "a", worker: "w", lease: "l", attempt: 1 }], ["JobReleased", { job: "a", lease: "l", reason: "worker-lost" }],
    ["JobLeased", { job: "a", worker: "v", lease: "m", attempt: 2 }]));
  const [first, second] = history.attempts.list;
  expect(first).toMatchObject({ outcome: "released", note: "worker-lost", queuedAt: 4, startedAt: 5, endedAt: 6 });
  expect(second).toMatchObject({ outcome: "running", queuedAt: 6, startedAt: 7, endedAt: null, worker: "v" });
  expect(history.attempts.upto(5)).toEqual([{ ...first, outcome: "running", note: "", fetchSeconds: 0, endedAt: null, upto: null }]);
  expect(history.attempts.upto(4)).toEqual([]);
});

/** So many jobs, each leased and ended, with a loss here and there; every record at a position of its own. */
function long(jobs: number): ReturnType<typeof records> {
  const told: [string, Record<string, unknown>?][] = [["BuildStarted", { jobs }]];
  for (let job = 0; job < jobs; job += 1) told.push(["JobAdded", { job: `j${job}`, name: `job ${job}` }]);
  told.push(["SourcesReady"]);
  for (let job = 0; job < jobs; job += 1) {
    told.push(["JobQueued", { job: `j${job}` }], ["JobLeased", { job: `j${job}`, worker: "w", lease: `l${job}`, attempt: 1 }]);
    if (job % 5 === 0) {
      told.push(["JobReleased", { job: `j${job}`, lease: `l${job}`, reason: "worker-lost" }],
        ["JobLeased", { job: `j${job}`, worker: "v", lease: `m${job}`, attempt: 2 }]);
    }
    told.push(["JobSucceeded", { job: `j${job}`, stdout_bytes: job }]);
  }
  return records(...told);
}
