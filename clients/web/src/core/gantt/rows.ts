/** What stands below what: slots by worker, or jobs by when they first ran. */

import type { Attempt } from "../attempts.ts";
import type { Lanes } from "./lanes.ts";
import { endOf, firstWhere, type Moment } from "./moment.ts";
import type { Span } from "./span.ts";

export type Order = "worker" | "job";

export interface Row {
  /** The worker or the job. */
  readonly id: string;
  /** Of a worker; 0 for a job. */
  readonly slot: number;
  /** Does it open a group: is it a worker's first? */
  readonly isFirst: boolean;
  /** Attempts, one after the other. */
  readonly places: readonly number[];
  readonly top: number;
}

export interface Board {
  readonly order: Order;
  readonly rows: readonly Row[];
  readonly rowHeight: number;
  /** Above each worker's first row, for its name. */
  readonly head: number;
  readonly height: number;
  /** The row of an attempt; undefined where it is not on the board. */
  rowOf(place: number): Row | undefined;
}

const ROW_MAX = 24;
const ROW_MIN: Readonly<Record<Order, number>> = { worker: 8, job: 18 };
const GROUP_GAP = 8;

/** All workers' slots, sorted by the workers' names, as high as fits into `room`. */
export function byWorker(lanes: Lanes, list: readonly Attempt[], nameOf: (worker: string) => string, room: number, head = 0): Board {
  const workers = [...lanes.workers.keys()].sort((a, b) => nameOf(a).localeCompare(nameOf(b), "en", { numeric: true }));
  const slots = workers.reduce((sum, worker) => sum + lanes.workers.get(worker)!.length, 0);
  const rowHeight = heightFor("worker", slots, room - (GROUP_GAP + head) * workers.length);
  const rows: Row[] = [];
  const firsts = new Map<string, number>();
  let top = 0;
  for (const id of workers) {
    firsts.set(id, rows.length);
    top += head;
    for (const [slot, places] of lanes.workers.get(id)!.entries()) {
      rows.push({ id, slot, isFirst: slot === 0, places, top });
      top += rowHeight;
    }
    top += GROUP_GAP;
  }
  return { order: "worker", rows, rowHeight, head, height: Math.max(0, top - GROUP_GAP),
    rowOf: (place) => rows[firsts.get(list[place].worker)! + lanes.slots[place]] };
}

/** The jobs that had begun by then and waited or ran in the span, in the order of their first attempts. */
export function byJob(lanes: Lanes, list: readonly Attempt[], span: Span, moment: Moment, room: number): Board {
  const shown: [string, number[]][] = [];
  for (const [job, places] of lanes.jobs) {
    if (list[places[0]].from > moment.position) break;
    if (isWithin(list, places, span, moment)) shown.push([job, places]);
  }
  const rowHeight = heightFor("job", shown.length, room);
  const rows = shown.map(([id, places], index): Row => ({ id, slot: 0, isFirst: false, places, top: index * rowHeight }));
  const byId = new Map(rows.map((row) => [row.id, row]));
  return { order: "job", rows, rowHeight, head: 0, height: rows.length * rowHeight, rowOf: (place) => byId.get(list[place].job) };
}

function isWithin(list: readonly Attempt[], places: readonly number[], { from, upto }: Span, moment: Moment): boolean {
  return places.some((place) => list[place].queuedAt <= upto && endOf(list[place], moment) >= from && list[place].from <= moment.position);
}

function heightFor(order: Order, rows: number, room: number): number {
  return Math.max(ROW_MIN[order], Math.min(ROW_MAX, Math.floor(room / Math.max(1, rows))));
}

/** The rows between two heights: the first, and the one after the last. */
export function rowsBetween({ rows, rowHeight }: Board, top: number, bottom: number): [number, number] {
  return [firstWhere(rows, (row) => row.top + rowHeight > top), firstWhere(rows, (row) => row.top >= bottom)];
}

/** The attempt of a row that is at a time, or the nearest within `reach` seconds; -1 for none. */
export function attemptAt(list: readonly Attempt[], { places }: Row, moment: Moment, at: number, reach: number): number {
  const after = firstWhere(places, (place) => list[place].startedAt > at || list[place].from > moment.position);
  let [found, least] = [-1, reach];
  for (const place of places.slice(Math.max(0, after - 2), after + 1)) {
    if (list[place].from > moment.position) continue;
    const away = Math.max(list[place].startedAt - at, at - endOf(list[place], moment), 0);
    if (away <= least && (away < least || found < 0)) [found, least] = [place, away];
  }
  return found;
}
