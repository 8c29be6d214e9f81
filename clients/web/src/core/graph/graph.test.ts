import { describe, expect, test } from "vitest";
import { randomDag } from "../gantt/farm.testing.ts";
import type { Job, JobState } from "../types.ts";
import { dag, dagOf, failedPath, reach, turned, type Dag } from "./dag.ts";
import { itemsOf, MANY, type Item, type Shape } from "./groups.ts";
import { apart, inSlices, layOut, type Layout } from "./layout.ts";
import { itemAt, stepped } from "./walk.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];
const NONE: ReadonlySet<never> = new Set<never>();

function job(place: number, name: string, deps: readonly number[], state: JobState = "succeeded", ended_at: number | null = null): Job {
  return { id: `id-${place}`, name, state, attempt: 1, worker: null, lease: null, deps: deps.map((dep) => `id-${dep}`), queued_at: null, started_at: null,
    ended_at, exit_code: null, error: null, stdout_bytes: 0, stderr_bytes: 0, reason: "", reused: false };
}

function shapeOf(deps: readonly (readonly number[])[], name: (place: number) => string): Shape {
  const jobs = deps.map((each, place) => job(place, name(place), each));
  return { jobs, dag: dagOf(jobs) };
}

function done(of: Dag, items: readonly Item[]): Layout {
  const work = layOut(of, items);
  for (let step = work.next(); ; step = work.next()) if (step.done) return step.value;
}

describe("the graph", () => {
  test("a job stands after all of its dependencies, and what needs nothing right before who needs it", () => {
    expect(dag([[], [0], [0, 1], [], [2, 3], []]).layers).toEqual([0, 1, 2, 2, 3, 0]);
  });

  test.each(SEEDS)("every edge leads to the right (seed %i)", (seed) => {
    const { deps, layers } = dag(randomDag(500, seed));
    deps.forEach((each, place) => each.forEach((dep) => expect(layers[dep]).toBeLessThan(layers[place])));
    expect(turned(turned(deps)).map((each) => each.toSorted())).toEqual(deps.map((each) => each.toSorted()));
  });

  test("what is near is found by levels, and no more than is asked for", () => {
    const { dependents } = dag([[], [0], [0], [1], [3]]);
    expect(reach(dependents, 0, 2, 9)).toEqual([1, 2, 3]);
    expect(reach(dependents, 0, 2, 2)).toEqual([1, 2]);
  });

  test("the failed path leads to the first failure and on to what it took with it", () => {
    const jobs = [job(0, "a", [], "succeeded", 1), job(1, "b", [], "succeeded", 2), job(2, "c", [0, 1], "failed", 3), job(3, "d", [2], "cancelled"),
      job(4, "e", [3], "cancelled"), job(5, "f", [0], "cancelled"), job(6, "g", [2], "succeeded")];
    expect([...failedPath(dagOf(jobs), jobs, 2)].sort()).toEqual([1, 2, 3, 4]);
    expect(failedPath(dagOf(jobs.slice(0, 2)), jobs.slice(0, 2), -1).size).toBe(0);
  });
});

describe("groups", () => {
  const big = shapeOf(randomDag(2000, 1), (place) => `lib${place % 20}/part-${place}`);

  test("few jobs are shown one by one", () => {
    const small = shapeOf(randomDag(MANY, 1), (place) => `j-${place}`);
    expect(itemsOf(small, NONE, NONE).map((item) => item.members)).toEqual(small.jobs.map((_, place) => [place]));
  });

  test("many jobs are grouped by what their names begin with", () => {
    const items = itemsOf(big, NONE, NONE);
    expect(items.map(({ name, members, isGroup }) => [name, members.length, isGroup])).toEqual(Array.from({ length: 20 }, (_, lib) => [`lib${lib}`, 100, true]));
  });

  test("a group opens, and the chosen stand alone", () => {
    const [group] = itemsOf(big, NONE, NONE);
    const items = itemsOf(big, new Set([group.key]), new Set([1]));
    expect(items.filter((item) => !item.isGroup).length).toBe(101);
    expect(items.find((item) => item.name === "lib1")!.members.length).toBe(99);
  });

  test("without telling names, jobs are grouped by layer, and those by stretches", () => {
    const flat = shapeOf(Array.from({ length: 1000 }, () => []), (place) => `job-${place}`);
    const parts = itemsOf(flat, NONE, NONE);
    expect(parts.map((item) => item.members.length)).toEqual(Array<number>(20).fill(50));
    const layered = shapeOf(Array.from({ length: 1000 }, (_, place) => (place < 100 ? [] : [place - 100])), (place) => `job-${place}`);
    expect(itemsOf(layered, NONE, NONE).map((item) => item.name)).toEqual(Array.from({ length: 10 }, (_, layer) => `layer ${layer + 1}`));
    const chain = shapeOf(Array.from({ length: 20_000 }, (_, place) => (place ? [place - 1] : [])), (place) => `job-${place}`);
    expect(itemsOf(chain, NONE, NONE).length).toBeLessThanOrEqual(MANY);
  });

  test.each(SEEDS)("each job is in exactly one item, whatever is opened, and in the end stands alone (seed %i)", (seed) => {
    const shape = shapeOf(randomDag(3000, seed), (place) => (seed % 2 ? `x${place % 3}/${place}` : `job-${place}`));
    const opened = new Set<string>();
    const hiding = (): Item | undefined => itemsOf(shape, opened, new Set([5, 6])).find((item) => item.isGroup && item.members.includes(1234));
    for (let group = hiding(); group; group = hiding()) opened.add(group.key);
    const items = itemsOf(shape, opened, new Set([5, 6]));
    expect(items.flatMap((item) => item.members).sort((a, b) => a - b)).toEqual([...shape.jobs.keys()]);
    expect(items.some((item) => !item.isGroup && item.members[0] === 1234)).toBe(true);
    expect(new Set(items.map((item) => item.key)).size).toBe(items.length);
  });
});

describe("the layout", () => {
  const singles = (size: number): Item[] => Array.from({ length: size }, (_, place) => ({ key: `${place}`, name: "", members: [place], isGroup: false }));

  test("items in a column keep apart, as near to where they belong as can be", () => {
    expect(apart([0, 0, 0], [1, 1, 1])).toEqual([-1, 0, 1]);
    expect(apart([0, 5, 5.5], [1, 1, 1])).toEqual([0, 4.75, 5.75]);
    expect(apart([0, 0], [1, 2])).toEqual([-0.75, 0.75]);
    expect(apart([], [])).toEqual([]);
  });

  test("parallel chains are drawn without a crossing", () => {
    const { rows, columns } = done(dag([[], [], [], [2], [0], [1]]), singles(6));
    expect(columns).toEqual([0, 0, 0, 1, 1, 1]);
    for (const [from, upto] of [[2, 3], [0, 4], [1, 5]]) expect(rows[from]).toBeCloseTo(rows[upto]);
  });

  test.each(SEEDS)("edges lead to the right, nobody stands on another (seed %i)", (seed) => {
    const layout = done(dag(randomDag(400, seed)), singles(400));
    layout.next.forEach((each, index) => each.forEach((other) => expect(layout.columns[other]).toBeGreaterThan(layout.columns[index])));
    for (const stack of layout.stacks) stack.slice(1).forEach((index, place) => expect(layout.rows[index] - layout.rows[stack[place]]).toBeGreaterThan(0.999));
    expect(layout.stacks.flat().length).toBe(400);
    expect(Math.min(...layout.rows)).toBe(0);
  });

  test.each(SEEDS)("groups that need each other have columns, too (seed %i)", (seed) => {
    const shape = shapeOf(randomDag(1000, seed), (place) => `g${(place * 7) % 11}/${place}`);
    const layout = done(shape.dag, itemsOf(shape, NONE, NONE));
    expect(layout.items.length).toBe(11);
    expect(layout.itemOf.every((item) => item >= 0)).toBe(true);
    layout.next.forEach((each, index) => each.forEach((other) => expect(layout.before[other]).toContain(index)));
  });

  test("ten thousand jobs are laid out in slices", async () => {
    const graph = dag(randomDag(10_000, 7));
    let pauses = 0;
    const layout = await inSlices(layOut(graph, singles(10_000)), async () => void (pauses += 1), () => true, 0.5);
    expect(layout!.rows.every(Number.isFinite)).toBe(true);
    expect(pauses).toBeGreaterThan(3);
    expect(await inSlices(layOut(graph, singles(10_000)), async () => {}, () => false)).toBeNull();
  });

  test("a hand and the keys find the items", () => {
    const layout = done(dag([[], [], [0, 1], [2], [2]]), singles(5));
    const { rows } = layout;
    layout.rows.forEach((row, index) => expect(itemAt(layout, layout.columns[index], row + 0.3)).toBe(index));
    expect(itemAt(layout, 0, rows[0] + 0.5)).toBe(-1);
    expect(itemAt(layout, 9, 0)).toBe(-1);
    expect(stepped(layout, 0, "right")).toBe(2);
    expect([3, 4]).toContain(stepped(layout, 2, "right"));
    expect(stepped(layout, 2, "left")).not.toBe(2);
    expect(new Set([stepped(layout, 0, "down"), stepped(layout, 0, "up")])).toEqual(new Set([0, 1]));
    expect(stepped(layout, 3, "right")).toBe(3);
  });
});
