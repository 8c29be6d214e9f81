import { describe, expect, test } from "vitest";
import type { Attempt } from "../attempts.ts";
import { farm, random, randomDag } from "./farm.testing.ts";
import { criticalPath } from "./critical.ts";
import { Lanes } from "./lanes.ts";
import { endOf, fetchedFor, firstWhere, outcomeOf, type Moment } from "./moment.ts";
import { attemptAt, byJob, byWorker, rowsBetween } from "./rows.ts";
import { gaps, runs } from "./runs.ts";
import { Build } from "../build.ts";
import { records, TABLES } from "../testing.ts";
import { moved, roomy, ticks, tickWords, zoomed } from "./span.ts";
import { lastAttempts } from "./spare.ts";

const NOW: Moment = { position: Infinity, now: 1e6 };
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

function attempt(job: string, worker: string, [queuedAt, startedAt, endedAt]: [number, number, number | null], more: Partial<Attempt> = {}): Attempt {
  return { job, worker, lease: `${job} ${startedAt}`, number: 1, reason: "", queuedAt, startedAt, endedAt, from: startedAt * 10 + 1,
    upto: endedAt === null ? null : endedAt * 10, outcome: endedAt === null ? "running" : "succeeded", note: "",
    fetchSeconds: 0, ...more };
}

function lanesOf(list: readonly Attempt[]): Lanes {
  const lanes = new Lanes();
  lanes.take(list);
  return lanes;
}

describe("lanes", () => {
  test("an attempt gets the lowest slot that is free, also when the records have one time", () => {
    const lanes = lanesOf([attempt("a", "w", [0, 0, 5]), attempt("b", "w", [0, 0, 2]), attempt("c", "w", [0, 2, 3]), attempt("d", "w", [0, 4, 6])]);
    expect(lanes.slots).toEqual([0, 1, 1, 1]);
    expect(lanes.workers.get("w")).toEqual([[0], [1, 2, 3]]);
  });

  test.each(SEEDS)("no two attempts of a slot overlap, no worker has more slots than it has (seed %i)", (seed) => {
    const { attempts: { list }, slots } = farm(randomDag(300, seed), seed);
    const lanes = lanesOf(list);
    for (const worker of lanes.workers.values()) {
      expect(worker.length).toBeLessThanOrEqual(slots);
      for (const lane of worker) lane.slice(1).forEach((place, index) => expect(list[lane[index]].upto!).toBeLessThan(list[place].from));
    }
    expect(lanes.slots.length).toBe(list.length);
  });

  test.each(SEEDS)("nothing moves to another slot as time goes on (seed %i)", (seed) => {
    const whole = farm(randomDag(100, seed), seed);
    const growing = new Lanes();
    const { attempts } = farm([], 1);
    for (const record of whole.records) {
      attempts.take(record);
      growing.take(attempts.list);
    }
    expect(growing.slots).toEqual(lanesOf(whole.attempts.list).slots);
  });
});

describe("the moment", () => {
  test("what ended later still runs", () => {
    const one = attempt("a", "w", [0, 1, 5], { outcome: "failed" });
    expect([endOf(one, { position: 49, now: 4 }), outcomeOf(one, { position: 49, now: 4 })]).toEqual([4, "running"]);
    expect([endOf(one, { position: 50, now: 9 }), outcomeOf(one, { position: 50, now: 9 })]).toEqual([5, "failed"]);
  });

  test("firstWhere finds the first that satisfies", () => {
    expect(firstWhere([1, 3, 5], (number) => number > 3)).toBe(2);
    expect(firstWhere([1, 3], (number) => number > 9)).toBe(2);
  });
});

describe("rows", () => {
  const list = [attempt("a", "w10", [0, 0, 5]), attempt("b", "w9", [0, 0, 2]), attempt("c", "w9", [0, 1, 3]), attempt("a", "w9", [5, 6, null])];
  const lanes = lanesOf(list);

  test("workers are sorted as people count, their slots below each other", () => {
    const board = byWorker(lanes, list, (worker) => worker, 400);
    expect(board.rows.map(({ id, slot, isFirst }) => [id, slot, isFirst])).toEqual([["w9", 0, true], ["w9", 1, false], ["w10", 0, true]]);
    expect(list.map((_, place) => board.rowOf(place)!.top)).toEqual([56, 0, 24, 0]);
    expect(rowsBetween(board, 25, 57)).toEqual([1, 3]);
  });

  test("jobs come in the order of their first attempts, those alone that are in the span", () => {
    const all = byJob(lanes, list, { from: 0, upto: 10 }, { position: Infinity, now: 10 }, 400);
    expect(all.rows.map((row) => row.id)).toEqual(["a", "b", "c"]);
    const later = byJob(lanes, list, { from: 4, upto: 10 }, { position: Infinity, now: 10 }, 400);
    expect(later.rows.map((row) => row.id)).toEqual(["a"]);
    expect(later.rowOf(1)).toBeUndefined();
    const before = byJob(lanes, list, { from: 0, upto: 10 }, { position: 2, now: 0 }, 400);
    expect(before.rows.map((row) => row.id)).toEqual(["a", "b"]);
  });

  test("a point finds the attempt there, or the nearest within reach", () => {
    const [row] = byWorker(lanes, list, (worker) => worker, 400).rows;
    const moment = { position: Infinity, now: 9 };
    expect(attemptAt(list, row, moment, 1, 0)).toBe(1);
    expect(attemptAt(list, row, moment, 8, 0)).toBe(3);
    expect(attemptAt(list, row, moment, 4, 1)).toBe(-1);
    expect(attemptAt(list, row, moment, 5.2, 1)).toBe(3);
    expect(attemptAt(list, row, { position: 30, now: 3 }, 8, 0)).toBe(-1);
  });

  test.each(SEEDS)("every attempt is found in its own middle (seed %i)", (seed) => {
    const { attempts } = farm(randomDag(200, seed), seed);
    const board = byWorker(lanesOf(attempts.list), attempts.list, (worker) => worker, 400);
    attempts.list.forEach((one, place) =>
      expect(attemptAt(attempts.list, board.rowOf(place)!, NOW, (one.startedAt + one.endedAt!) / 2, 0)).toBe(place));
  });
});

describe("runs", () => {
  const span = { from: 0, upto: 100 };

  test("wide bars stand alone and tell their attempt", () => {
    const list = [attempt("a", "w", [0, 10, 20]), attempt("b", "w", [0, 30, null])];
    expect(runs(list, [0, 1], span, 100, { position: Infinity, now: 50 })).toEqual([
      { x: 10, width: 10, outcome: "succeeded", fill: 4, place: 0 }, { x: 30, width: 20, outcome: "running", fill: 4, place: 1 }]);
  });

  test("narrow ones become a crowd that shows the worst of them", () => {
    const list = [attempt("a", "w", [0, 30, 31]), attempt("b", "w", [0, 31, 32], { outcome: "failed" }), attempt("c", "w", [0, 33, 34])];
    expect(runs(list, [0, 1, 2], span, 100, NOW)).toEqual([
      { x: 30, width: 3, outcome: "failed", fill: 3, place: -1 }, { x: 33, width: 3, outcome: "succeeded", fill: 2, place: -1 }]);
  });

  test("what had not begun is not there", () => {
    const list = [attempt("a", "w", [0, 10, 20]), attempt("b", "w", [0, 30, 40])];
    expect(runs(list, [0, 1], span, 100, { position: 150, now: 15 })).toEqual([{ x: 10, width: 5, outcome: "running", fill: 4, place: 0 }]);
  });

  test.each(SEEDS)("they are bounded by the pixels and cover all that ran (seed %i)", (seed) => {
    const { attempts: { list } } = farm(randomDag(2000, seed), seed, 1, 1);
    const whole = { from: list[0].startedAt, upto: list.at(-1)!.endedAt! };
    const width = 50 + Math.floor(random(seed)() * 2000);
    const found = runs(list, lanesOf(list).workers.get("w0")![0], whole, width, NOW);
    expect(found.length).toBeLessThanOrEqual((2 * width) / 3 + 2);
    const busy = found.reduce((sum, run) => sum + run.width * (run.place < 0 ? run.fill / 4 : 1), 0);
    const truth = list.reduce((sum, one) => sum + one.endedAt! - one.startedAt, 0) / (whole.upto - whole.from) * width;
    expect(busy).toBeGreaterThanOrEqual(truth - 10);
  });

  test("gaps lie between attempts, and after the last one up to the moment", () => {
    const list = [attempt("a", "w", [0, 10, 20]), attempt("b", "w", [0, 30, 40])];
    expect(gaps(list, [0, 1], span, { position: Infinity, now: 60 }, 1)).toEqual([{ from: 20, upto: 30 }, { from: 40, upto: 60 }]);
    expect(gaps(list, [0, 1], span, { position: 300, now: 30 }, 1)).toEqual([{ from: 20, upto: 30 }]);
    expect(gaps(list, [0, 1], span, { position: Infinity, now: 60 }, 15)).toEqual([{ from: 40, upto: 60 }]);
  });
});

describe("the critical path", () => {
  const none = (): string[] => [];

  test("goes back through the dependency that ended last", () => {
    const list = [attempt("a", "w", [0, 0, 3]), attempt("b", "w", [0, 0, 5]), attempt("c", "w", [5, 5, 9])];
    const deps = (job: string): string[] => (job === "c" ? ["a", "b"] : []);
    expect(criticalPath(list, lanesOf(list), deps, NOW)).toEqual([1, 2]);
  });

  test("goes back through an attempt that was lost", () => {
    const list = [attempt("a", "w", [0, 0, 3], { outcome: "released" }), attempt("a", "v", [3, 3, 7], { number: 2 })];
    expect(criticalPath(list, lanesOf(list), none, NOW)).toEqual([0, 1]);
  });

  test("goes back through the slot when all were taken, and not when one was free", () => {
    const full = [attempt("a", "w", [0, 0, 4]), attempt("b", "w", [0, 4, 6])];
    expect(criticalPath(full, lanesOf(full), none, NOW)).toEqual([0, 1]);
    const free = [attempt("a", "w", [0, 0, 4]), attempt("b", "w", [0, 0, 2]), attempt("c", "w", [3, 5, 6])];
    expect(criticalPath(free, lanesOf(free), none, NOW)).toEqual([2]);
  });

  test("ends with what has run longest while something runs, as things stood then", () => {
    const list = [attempt("a", "w", [0, 0, 3]), attempt("b", "w", [3, 3, 8]), attempt("c", "v", [3, 4, 5])];
    const deps = (job: string): string[] => (job === "a" ? [] : ["a"]);
    expect(criticalPath(list, lanesOf(list), deps, { position: 60, now: 6 })).toEqual([0, 1]);
    expect(criticalPath(list, lanesOf(list), deps, { position: 20, now: 2 })).toEqual([0]);
    expect(criticalPath([], new Lanes(), none, NOW)).toEqual([]);
  });

  test.each(SEEDS)("each on it begins when or after the one before ended, and it ends with the build (seed %i)", (seed) => {
    const { attempts: { list }, deps } = farm(randomDag(400, seed), seed);
    const path = criticalPath(list, lanesOf(list), (job) => deps.get(job)!, NOW);
    path.slice(1).forEach((place, index) => expect(list[path[index]].endedAt!).toBeLessThanOrEqual(list[place].startedAt));
    expect(list[path.at(-1)!].endedAt).toBe(Math.max(...list.map((one) => one.endedAt!)));
    // The farm leases at once, so on the path nobody ever waited in vain: it is gapless from the start.
    path.slice(1).forEach((place, index) => expect(list[place].startedAt - list[path[index]].endedAt!).toBeCloseTo(0));
    expect(list[path[0]].startedAt).toBe(list[0].startedAt);
  });
});

describe("the span", () => {
  const whole = { from: 100, upto: 200 };

  test("zooming keeps the time under the hand where it is, and never leaves the whole", () => {
    expect(zoomed(whole, 2, 150, whole)).toEqual({ from: 125, upto: 175 });
    expect(zoomed({ from: 125, upto: 175 }, 0.1, 150, whole)).toBe(whole);
    expect(zoomed({ from: 100, upto: 120 }, 0.5, 120, whole)).toEqual({ from: 100, upto: 140 });
    expect(moved({ from: 150, upto: 160 }, 100, whole)).toEqual({ from: 190, upto: 200 });
    expect(moved({ from: 150, upto: 160 }, -Infinity, whole)).toEqual({ from: 100, upto: 110 });
  });

  test("the whole keeps room for what is to come, and stands still while that is filled", () => {
    expect([33, 35.9].map((seconds) => roomy(100, 100 + seconds, false))).toEqual([{ from: 100, upto: 140 }, { from: 100, upto: 140 }]);
    expect(roomy(100, 200, true)).toEqual({ from: 100, upto: 201 });
  });

  test("ticks are even times of the build", () => {
    expect(ticks({ from: 103, upto: 131 }, 100, 7)).toEqual({ step: 10, at: [10, 20, 30] });
    expect(ticks(whole, 100, 40)).toEqual({ step: 60, at: [0, 60] });
  });

  test("ticks read as times", () => {
    expect([tickWords(0, 1), tickWords(1.5, 0.5), tickWords(59, 1), tickWords(125, 5), tickWords(3600, 60), tickWords(60.25, 0.05)])
      .toEqual(["0", "1.5s", "59s", "2:05", "1:00:00", "1:00.25"]);
  });
});

test("without records, the jobs of a snapshot tell their last attempts, and seats follow their times", () => {
  const at = (position: number): Partial<{ at: number }> => ({ at: position });
  const told = records(["BuildStarted", { name: "b", jobs: 3 }], ["JobAdded", { job: "a", name: "a" }], ["JobAdded", { job: "b", name: "b" }],
    ["SourcesReady"], ["JobQueued", { job: "a" }], ["JobQueued", { job: "b" }], ["JobLeased", { job: "b", worker: "w", lease: "1", attempt: 1, ...at(7) }],
    ["JobFailed", { job: "b", exit_code: 1, error: "exit code 1", ...at(8) }], ["JobLeased", { job: "a", worker: "w", lease: "2", attempt: 2, ...at(8) }]);
  const build = Build.ofStart(told[0], TABLES);
  for (const record of told) build.take(record);
  const list = lastAttempts(build);
  expect(list.map(({ job, outcome, note, endedAt }) => [job, outcome, note, endedAt])).toEqual([["b", "failed", "exit code 1", 8], ["a", "running", "", null]]);
  expect(lanesOf(list).slots).toEqual([0, 0]);
});

test("what was fetched is known once the attempt has ended, and is never more than it lasted", () => {
  const one = attempt("a", "w", [0, 1, 5], { fetchSeconds: 1.5 });
  expect(fetchedFor(one, NOW)).toBe(1.5);
  expect(fetchedFor(one, { position: one.upto! - 1, now: 4 })).toBe(0);
  expect(fetchedFor({ ...one, fetchSeconds: 9 }, NOW)).toBe(4);
});
