/**
 * What is drawn of a graph: its jobs if they are few, else groups of them, by what their names begin with.
 *
 * A group that was opened shows its jobs, or smaller groups; some jobs (the chosen one and those around it) are
 * always shown by themselves.
 */

import { prefix } from "../order.ts";
import type { Job } from "../types.ts";
import { label } from "../words.ts";
import type { Dag } from "./dag.ts";

/** More than this is not drawn one by one. */
export const MANY = 300;
const PART_LEAST = 50;

export interface Item {
  /** A job's id, or the group's own; it stays the same. */
  readonly key: string;
  readonly name: string;
  /** Places in the build's list; a job's own alone. */
  readonly members: readonly number[];
  readonly isGroup: boolean;
}

export interface Shape {
  readonly jobs: readonly Job[];
  readonly dag: Dag;
}

/** All jobs in items, each in one, in the order of the graph. */
export function itemsOf(shape: Shape, opened: ReadonlySet<string>, alone: ReadonlySet<number>): Item[] {
  const places = [...shape.jobs.keys()];
  if (places.length <= MANY) return places.map((place) => single(shape, place));
  const items = [...alone].map((place) => single(shape, place));
  spread(shape, places, "", opened, alone, items);
  return items.sort((a, b) => a.members[0] - b.members[0]);
}

const single = ({ jobs }: Shape, place: number): Item => ({ key: jobs[place].id, name: label(jobs[place]), members: [place], isGroup: false });

function spread(shape: Shape, places: readonly number[], above: string, opened: ReadonlySet<string>, alone: ReadonlySet<number>, items: Item[]): void {
  for (const [name, all] of parted(shape, places)) {
    const key = `${above}›${name}`;
    const members = all.filter((place) => !alone.has(place));
    if (opened.has(key) && all.length > MANY) spread(shape, all, key, opened, alone, items);
    else if (opened.has(key) || members.length === 1) items.push(...members.map((place) => single(shape, place)));
    else if (members.length) items.push({ key, name, members, isGroup: true });
  }
}

/** In several parts, but not too many: by name, or by layer, or else just one after the other. */
function parted(shape: Shape, places: readonly number[]): Map<string, number[]> {
  const { jobs, dag: { layers } } = shape;
  for (const name of [(place: number) => prefix(jobs[place]), (place: number) => `layer ${layers[place] + 1}`]) {
    const parts = new Map<string, number[]>();
    for (const place of places) {
      const part = parts.get(name(place));
      if (part) part.push(place);
      else parts.set(name(place), [place]);
    }
    if (parts.size > 1 && parts.size <= MANY) return parts;
  }
  return stretches(shape, places);
}

function stretches({ jobs, dag: { layers } }: Shape, places: readonly number[]): Map<string, number[]> {
  const size = Math.max(PART_LEAST, Math.ceil(places.length / MANY));
  const sorted = [...places].sort((a, b) => layers[a] - layers[b] || a - b);
  const parts = new Map<string, number[]>();
  for (let from = 0; from < sorted.length; from += size) {
    const part = sorted.slice(from, from + size);
    parts.set(`${label(jobs[part[0]])} … ${label(jobs[part.at(-1)!])}`, part);
  }
  return parts;
}
