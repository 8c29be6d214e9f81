/** Jobs sorted and grouped as the table's heads ask for. */

import type { Farm } from "./farm.ts";
import type { Job } from "./types.ts";
import { label, look, ran, waited } from "./words.ts";

export type Column = "state" | "name" | "worker" | "try" | "waited" | "ran";
export type Grouping = "state" | "worker" | "prefix";

/** A row of the table: a job, or the head of a group of them. */
export type Row =
  | { readonly kind: "job"; readonly id: string; readonly job: Job }
  | { readonly kind: "group"; readonly id: string; readonly name: string; readonly size: number };

const STATES = ["failed", "running", "queued", "blocked", "cancelled", "succeeded", "reused"];

type Key = (job: Job) => string | number;

export function keyOf(column: Column, farm: Farm, now: number): Key {
  switch (column) {
    case "state": return (job) => STATES.indexOf(look(job));
    case "name": return (job) => label(job);
    case "worker": return (job) => (job.worker === null ? "\uffff" : farm.name(job.worker));
    case "try": return (job) => job.attempt;
    case "waited": return (job) => waited(job, now) ?? -1;
    case "ran": return (job) => ran(job, now) ?? -1;
  }
}

/** `order` is a column, with `-` before it for the other way round; anything else leaves the graph's order. */
export function sorted(jobs: readonly Job[], order: string, farm: Farm, now: number): readonly Job[] {
  const column = order.replace(/^-/, "");
  if (!isColumn(column)) return jobs;
  const key = keyOf(column, farm, now);
  const keyed = jobs.map((job, place) => ({ job, place, key: key(job) }));
  const way = order.startsWith("-") ? -1 : 1;
  keyed.sort((a, b) => (a.key < b.key ? -way : a.key > b.key ? way : a.place - b.place));
  return keyed.map(({ job }) => job);
}

export function isColumn(text: string): text is Column {
  return ["state", "name", "worker", "try", "waited", "ran"].includes(text);
}

/** Rows with a head before each group; groups come in the order of their first job. */
export function grouped(jobs: readonly Job[], by: string, farm: Farm): Row[] {
  const name = nameOf(by, farm);
  if (name === null) return jobs.map((job) => ({ kind: "job", id: job.id, job }));
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const key = name(job);
    const group = groups.get(key);
    if (group) group.push(job);
    else groups.set(key, [job]);
  }
  return [...groups].flatMap(([key, members]): Row[] => [
    { kind: "group", id: `group ${key}`, name: key, size: members.length },
    ...members.map((job): Row => ({ kind: "job", id: job.id, job })),
  ]);
}

function nameOf(by: string, farm: Farm): ((job: Job) => string) | null {
  if (by === "state") return look;
  if (by === "worker") return (job) => (job.worker === null ? "no worker" : farm.name(job.worker));
  if (by === "prefix") return prefix;
  return null;
}

/** What the name begins with, up to its last `/`, or else its first `-`, `_`, `.` or `:`. */
export function prefix(job: Job): string {
  const name = label(job);
  const slash = name.lastIndexOf("/");
  if (slash > 0) return name.slice(0, slash);
  return /^[^-_.:]+/.exec(name)?.[0] ?? name;
}
