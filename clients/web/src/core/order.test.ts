import { expect, test } from "vitest";
import { Farm, taken } from "./farm.ts";
import { parseFilter } from "./filter.ts";
import { grouped, prefix, sorted } from "./order.ts";
import { changed, format, parse, positionOf } from "./route.ts";
import { columns, positionAt, step, trouble } from "./scrub.ts";
import { History } from "./history.ts";
import { mark } from "./mark.ts";
import { Cleaner } from "./plain.ts";
import { records, TABLES } from "./testing.ts";
import type { Job, WorkerView } from "./types.ts";
import { duration, ICONS, label } from "./words.ts";

const BASE: Job = { id: "0", name: "", state: "queued", attempt: 0, worker: null, lease: null, deps: [], queued_at: null, started_at: null,
  ended_at: null, exit_code: null, error: null, stdout_bytes: 0, stderr_bytes: 0, reason: "", reused: false };
const job = (id: string, fields: Partial<Job>): Job => ({ ...BASE, id, name: id, ...fields });
const farm = new Farm();
const JOBS = [
  job("lib/b", { state: "succeeded", worker: "http://w1:1/", started_at: 0, ended_at: 20 }),
  job("lib/a", { state: "failed", worker: "http://w2:1/", started_at: 0, ended_at: 5 }),
  job("app", { state: "succeeded", reused: true }),
  job("test-x", { state: "running", worker: "http://w2:1/", started_at: 90 }),
];
const ids = (filter: string): string[] => JOBS.filter(parseFilter(filter, farm, () => 100) ?? (() => true)).map(({ id }) => id);

test("the filter understands words, states, workers and durations", () => {
  expect(ids("")).toHaveLength(4);
  expect(ids("LIB")).toEqual(["lib/b", "lib/a"]);
  expect(ids("state:failed,running")).toEqual(["lib/a", "test-x"]);
  expect(ids("state:reused")).toEqual(["app"]);
  expect(ids("worker:w2 >6s")).toEqual(["test-x"]);
  expect(ids("<1m name:lib")).toEqual(["lib/b", "lib/a"]);
  expect(ids("nothing-like-it")).toEqual([]);
});

test("jobs are sorted both ways, and stay in the graph's order where they are alike", () => {
  const order = (by: string): string[] => sorted(JOBS, by, farm, 100).map(({ id }) => id);
  expect(order("name")).toEqual(["app", "lib/a", "lib/b", "test-x"]);
  expect(order("-ran")).toEqual(["lib/b", "test-x", "lib/a", "app"]);
  expect(order("state")).toEqual(["lib/a", "test-x", "lib/b", "app"]);
  expect(order("nonsense")).toEqual(["lib/b", "lib/a", "app", "test-x"]);
});

test("groups have heads", () => {
  const rows = grouped(JOBS, "prefix", farm).map((row) => (row.kind === "group" ? `${row.name} ${row.size}` : row.id));
  expect(rows).toEqual(["lib 2", "lib/b", "lib/a", "app 1", "app", "test 1", "test-x"]);
  expect(prefix(job("a/b/c.o", {}))).toBe("a/b");
});

test("an address says all, there and back", () => {
  const route = parse("#/b/abc?tab=gantt&at=12&q=a%20b");
  expect(route).toEqual({ page: "build", build: "abc", asked: { tab: "gantt", at: "12", q: "a b" } });
  expect(parse(format(route))).toEqual(route);
  expect(positionOf(route)).toBe(12);
  expect(format(changed(route, { at: null, q: "", tab: "graph" }))).toBe("#/b/abc?tab=graph");
  expect(parse("#/b/%E0%A4%A")).toMatchObject({ page: "build", build: "%E0%A4%A" });
  expect([parse("").page, parse("#/workers").page, parse("#/nowhere").page]).toEqual(["builds", "workers", "builds"]);
});

test("the scrubber's columns show how many ran and waited, and what went wrong", () => {
  const history = new History(TABLES);
  history.take(records(["BuildStarted", { jobs: 1 }], ["JobAdded", { job: "a" }], ["SourcesReady"], ["JobQueued", { job: "a" }],
    ["JobLeased", { job: "a", worker: "w", lease: "l", attempt: 1 }], ["JobReleased", { job: "a", lease: "l", reason: "worker-lost" }],
    ["JobLeased", { job: "a", worker: "w", lease: "m", attempt: 2 }], ["JobFailed", { job: "a", lease: "m", exit_code: 1, error: "" }]));
  const all = columns(history, TABLES, 1, 9, 8);
  expect(all.map(({ running }) => running)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  expect(all.map(({ queued }) => queued)).toEqual([0, 0, 0, 1, 1, 1, 1, 0]);
  expect(all.map(({ losses, failures }) => losses + 2 * failures)).toEqual([0, 0, 0, 0, 0, 1, 0, 2]);
  expect(positionAt(history, 4.5)).toBe(4);
  expect([step(history, 4, 1), step(history, 4, -9), step(history, 8, 1)]).toEqual([5, 1, 8]);
  expect([trouble(history, Infinity, -1), trouble(history, 8, -1), trouble(history, 6, 1), trouble(history, 6, -1)]).toEqual([8, 6, 8, null]);
});

test("no escape sequence survives, however it is cut", () => {
  const hostile = new TextEncoder().encode("a\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b[2Jé\r\nb\x00");
  const whole = new Cleaner().clean(hostile);
  expect(whole).toBe("ared linké\nb·");
  for (let cut = 0; cut < hostile.length; cut += 1) {
    const cleaner = new Cleaner();
    expect(cleaner.clean(hostile.slice(0, cut)) + cleaner.clean(hostile.slice(cut))).toBe(whole.replace("\n", hostile[cut - 1] === 13 ? "\n\n" : "\n"));
  }
});

test("durations are short and stable", () => {
  expect([duration(0.44), duration(9.99, true), duration(63), duration(7500)]).toEqual(["0.4s", "9s", "1m 03s", "2h 05m"]);
});

test("a worker is never busier than it has slots: the rest was taken ahead", () => {
  const worker = (leases: number): WorkerView => ({
    id: "w", state: "alive", slots: 2, slots_free: 0, labels: {}, native: true, last_seen: 0, artifacts: 0,
    leases: Array.from({ length: leases }, (_, n) => ({ id: `${n}`, build: "b", job: `${n}`, name: "", leased_at: 0 })),
  });
  expect([0, 1, 2, 3].map((leases) => Object.values(taken(worker(leases))))).toEqual([[0, 0], [1, 0], [2, 0], [2, 1]]);
  const farm = new Farm();
  farm.set([worker(3)]);
  expect(farm.summary()).toBe("1 worker, 2 jobs running");
});

test("the mark wears the state of the build", () => {
  expect(mark("")).toBe("./mark.svg");
  for (const icon of Object.values(ICONS)) expect(decodeURIComponent(mark(icon))).toContain(`>${icon}</text>`);
  expect(new Set([ICONS.succeeded, ICONS.failed, ICONS.running, ICONS.cancelled].map(mark)).size).toBe(4);
});

test("what reorders a name is seen in it", () => {
  expect(label({ name: "safe\u202egpj.exe", id: "1" })).toBe("safe�gpj.exe");
  expect(label({ name: "\u2066a\u2069 \u200fשלום", id: "1" })).toBe("�a� �שלום");
  expect(farm.name("w\u202d1")).toBe("w�1");
});
