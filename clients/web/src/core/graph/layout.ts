/**
 * Where each item stands: columns by what comes after what, in each an order with few crossings.
 *
 * It is a generator, so that whoever runs it can draw in between: it yields after a stretch of work.
 */

import { turned, type Dag } from "./dag.ts";
import type { Item } from "./groups.ts";

export interface Layout {
  readonly items: readonly Item[];
  /** The column, and the height of the middle in rows; of those a job takes one and a group two. */
  readonly columns: readonly number[];
  readonly rows: readonly number[];
  /** To the right, and (between groups that need each other) back. */
  readonly next: readonly (readonly number[])[];
  readonly before: readonly (readonly number[])[];
  /** The items of each column from top to bottom. */
  readonly stacks: readonly (readonly number[])[];
  /** By job: the item that shows it. */
  readonly itemOf: readonly number[];
}

const SWEEPS = 6;
const STRETCH = 2000; // nodes and edges between two yields: about a millisecond

export function* layOut(dag: Dag, items: readonly Item[]): Generator<undefined, Layout> {
  const itemOf = Array<number>(dag.deps.length).fill(-1);
  items.forEach(({ members }, index) => members.forEach((place) => (itemOf[place] = index)));
  yield;
  const next = between(dag, items, itemOf);
  const before = turned(next);
  yield;
  const columns = columnsOf(dag, items, next);
  const stacks: number[][] = [];
  columns.forEach((column, index) => (stacks[column] ??= []).push(index));
  const rows = Array<number>(items.length).fill(0);
  stacks.forEach((stack) => stack.forEach((index, row) => (rows[index] = row)));
  let work = 0;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForth = sweep % 2 === 0;
    for (const stack of isForth ? stacks : stacks.toReversed()) {
      work += settle(stack, isForth ? before : next, rows, columns, items, sweep < SWEEPS - 2);
      if (work > STRETCH) {
        work = 0;
        yield;
      }
    }
  }
  const least = rows.reduce((a, b) => Math.min(a, b), Infinity);
  return { items, columns, rows: rows.map((row) => row - least), next, before, stacks, itemOf };
}

/** By item: the other items that need it. */
function between({ dependents }: Dag, items: readonly Item[], itemOf: readonly number[]): number[][] {
  return items.map(({ members }, index) => {
    const found = new Set<number>();
    for (const place of members) for (const dependent of dependents[place]) found.add(itemOf[dependent]);
    found.delete(index);
    return [...found];
  });
}

/** Longest paths over the edges that lead to where jobs stand further right on the average: those have no cycles. */
function columnsOf({ layers }: Dag, items: readonly Item[], next: readonly (readonly number[])[]): number[] {
  const means = items.map(({ members }) => members.reduce((sum, place) => sum + layers[place], 0) / members.length);
  const columns = Array<number>(items.length).fill(0);
  const order = [...items.keys()].sort((a, b) => means[a] - means[b]);
  for (const index of order) {
    for (const other of next[index]) if (means[other] > means[index]) columns[other] = Math.max(columns[other], columns[index] + 1);
  }
  const isFirst = columns.map((column) => column === 0);
  for (const index of order) {
    if (!isFirst[index]) continue;
    const least = next[index].reduce((column, other) => (means[other] > means[index] ? Math.min(column, columns[other]) : column), Infinity);
    if (least < Infinity) columns[index] = least - 1;
  }
  return columns;
}

/** Bring a column's items near to the middle of their neighbours, in another order too if that `mayTurn`. Returns the work. */
function settle(stack: number[], edges: readonly (readonly number[])[], rows: number[], columns: readonly number[], items: readonly Item[], mayTurn: boolean): number {
  let work = stack.length;
  const wanted = new Map<number, number>();
  for (const index of stack) {
    let [sum, count] = [0, 0];
    for (const other of edges[index]) {
      if (columns[other] === columns[index]) continue;
      sum += rows[other];
      count += 1;
    }
    work += edges[index].length;
    wanted.set(index, count ? sum / count : rows[index]);
  }
  if (mayTurn) stack.sort((a, b) => wanted.get(a)! - wanted.get(b)! || rows[a] - rows[b]);
  const settled = apart(stack.map((index) => wanted.get(index)!), stack.map((index) => (items[index].isGroup ? 2 : 1)));
  stack.forEach((index, place) => (rows[index] = settled[place]));
  return work;
}

/** The places nearest to the wanted ones (by least squares) where none of so much height stands on the one before it. */
export function apart(wanted: readonly number[], heights: readonly number[]): number[] {
  let top = 0;
  const offsets = heights.map((height) => (top += height) - height / 2);
  // Without the heights the places must only not fall: neighbours that would are moved to their mean.
  const blocks: { sum: number; count: number }[] = [];
  wanted.forEach((want, index) => {
    let block = { sum: want - offsets[index], count: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.count >= block.sum / block.count; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, count: block.count + last.count };
      blocks.pop();
    }
    blocks.push(block);
  });
  const places: number[] = [];
  for (const { sum, count } of blocks) for (let each = 0; each < count; each += 1) places.push(sum / count + offsets[places.length]);
  return places;
}

/** Run the generator to its end, a few milliseconds at a time; null when it is no longer wanted. */
export async function inSlices<T>(work: Generator<undefined, T>, pause: () => Promise<void>, isWanted: () => boolean, ms = 10): Promise<T | null> {
  while (isWanted()) {
    for (const until = performance.now() + ms; performance.now() < until; ) {
      const { done, value } = work.next();
      if (done) return value;
    }
    await pause();
  }
  return null;
}
