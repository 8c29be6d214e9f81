import { describe, expect, it } from "vitest";
import { causes, changes, fits, says } from "./events.ts";
import { History } from "./history.ts";
import { records, TABLES } from "./testing.ts";

const TOLD = records(
  ["BuildStarted", { jobs: 3, name: "n" }],
  ["JobAdded", { job: "A", name: "a" }],
  ["JobAdded", { job: "Z", name: "z", deps: ["A"] }],
  ["JobAdded", { job: "X", name: "x" }],
  ["SignalReceived", { signal: "upload-done" }],
  ["SourcesReady"],
  ["JobQueued", { job: "A", digest: "d".repeat(64) }],
  ["JobQueued", { job: "X" }],
  ["JobLeased", { job: "A", lease: "0123456789abcdef", worker: "w", attempt: 1, reason: "first-come" }],
  ["JobReleased", { job: "A", lease: "0123456789abcdef", reason: "worker-lost" }],
  ["JobLeased", { job: "A", lease: "fedcba9876543210", worker: "v", attempt: 2 }],
  ["JobFailed", { job: "A", lease: "fedcba9876543210", exit_code: 3, error: "exit status 3" }],
  ["JobCancelled", { job: "Z", reason: "dependency-failed" }],
  ["JobCancelled", { job: "X", reason: "build-failed" }],
  ["BuildFailed", { error: "a failed" }],
);

function history(): History {
  const all = new History(TABLES);
  all.take(TOLD);
  return all;
}

it("says in short what a record tells", () => {
  expect(TOLD.slice(0, 11).map(says)).toEqual([
    "jobs 3 · name n", "name a", "name z · deps 1", "name x", "signal upload-done", "", "digest dddddddd", "",
    "lease 01234567 · attempt 1 · reason first-come", "lease 01234567 · reason worker-lost", "lease fedcba98 · attempt 2",
  ]);
});

describe("the causes of a record", () => {
  const chain = (position: number): number[] => causes(TOLD, position - 1, history().at(15)!).map((at) => TOLD[at].position);
  it.each([
    [1, []],
    [7, [6, 5, 1]],
    [9, [7, 6, 5, 1]],
    [10, [9, 7, 6, 5, 1]],
    [12, [11, 10, 9, 7, 6, 5, 1]],
    [13, [12, 11, 10, 9, 7, 6, 5, 1]],
    [14, [12, 11, 10, 9, 7, 6, 5, 1]],
    [15, [12, 11, 10, 9, 7, 6, 5, 1]],
  ])("%i", (position, expected) => {
    expect(chain(position)).toEqual(expected);
  });
});

it("tells what a record changed", () => {
  const all = history();
  const of = (position: number): unknown[] => changes(TOLD[position - 1], all.at(position - 1), all.at(position)!).map(({ field, before, after }) => [field, before, after]);
  expect(of(12)).toEqual([
    ["state", "running", "failed"], ["ended_at", "", "12"], ["exit_code", "", "3"], ["error", "", "exit status 3"], ["reason", "", "exit status 3"],
  ]);
  expect(of(15)).toEqual([["state", "running", "failed"], ["ended_at", "", "15"], ["error", "", "a failed"]]);
  expect(of(2)).toContainEqual(["state", "", "blocked"]);
});

it("chooses by type, job and text", () => {
  const chosen = (type: string, job: string, text: string): number[] =>
    TOLD.filter((record) => fits(record, type, job, text, ({ job }) => (job === "A" ? "the first" : ""))).map(({ position }) => position);
  expect(chosen("JobLeased", "", "")).toEqual([9, 11]);
  expect(chosen("", "X", "")).toEqual([4, 8, 14]);
  expect(chosen("", "", "WORKER-lost")).toEqual([10]);
  expect(chosen("JobQueued", "", "The First")).toEqual([7]);
  expect(chosen("", "", "15")).toEqual([15]);
});
