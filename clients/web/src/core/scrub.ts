/** What the scrubber draws and where it leads: how many jobs ran and waited over the build's whole time. */

import type { History } from "./history.ts";
import type { LogRecord, Tables } from "./types.ts";

/** One column: the most jobs that ran and were queued at a time in it, and what went wrong in it. */
export interface Column {
  running: number;
  queued: number;
  failures: number;
  losses: number;
}

/** The build's time from `start` to `end` in so many columns; statuses are moved by the coordinator's table. */
export function columns(history: History, tables: Tables, start: number, end: number, width: number): Column[] {
  const all = Array.from({ length: width }, (): Column => ({ running: 0, queued: 0, failures: 0, losses: 0 }));
  const states = new Map<string, string>();
  const counts: Record<string, number> = { running: 0, queued: 0 };
  let place = 0;
  for (const record of history.records) {
    const next = Math.min(width - 1, Math.max(0, Math.floor(((record.at - start) / (end - start || 1)) * width)));
    while (place < next) carry(all, ++place, counts);
    move(record, states, counts, tables);
    const column = all[place];
    column.running = Math.max(column.running, counts.running);
    column.queued = Math.max(column.queued, counts.queued);
    column.failures += Number(record.type === "JobFailed");
    column.losses += Number(record.type === "JobReleased");
  }
  while (place < width - 1) carry(all, ++place, counts);
  return all;
}

function carry(all: Column[], place: number, { running, queued }: Record<string, number>): void {
  [all[place].running, all[place].queued] = [running, queued];
}

function move({ job, type }: LogRecord, states: Map<string, string>, counts: Record<string, number>, { job: table }: Tables): void {
  if (job === undefined) return;
  const before = states.get(job) ?? "blocked";
  const after = table[before][type];
  if (after === undefined) return;
  states.set(job, after);
  if (before in counts) counts[before] -= 1;
  if (after in counts) counts[after] += 1;
}

/** The position of the last record at or before a time; that of the first one if there is none. */
export function positionAt({ records }: History, at: number): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (records[middle].at <= at) low = middle + 1;
    else high = middle;
  }
  return records[Math.max(0, low - 1)].position;
}

/** The position so many records away, within the build's records. */
export function step(history: History, position: number, by: number): number {
  const index = history.countUpto(position) - 1 + by;
  return history.records[Math.max(0, Math.min(history.records.length - 1, index))].position;
}

const TROUBLE = new Set(["JobFailed", "JobReleased", "JobReopened", "BuildFailed", "BuildCancelled"]);

/** The position of the next thing that went wrong, in one direction or the other; null if there is none. */
export function trouble(history: History, position: number, by: 1 | -1): number | null {
  const { records } = history;
  const start = by > 0 ? history.countUpto(position) : history.countUpto(position - 1) - 1;
  for (let index = start; index >= 0 && index < records.length; index += by) {
    if (TROUBLE.has(records[index].type)) return records[index].position;
  }
  return null;
}
