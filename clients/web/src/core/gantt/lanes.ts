/**
 * Who ran beside whom: each attempt in the lowest slot of its worker that was free when it began.
 *
 * Which that is depends on earlier records alone, so nothing ever moves to another slot. Attempts are named by
 * their places in the list of them all, which only grows.
 */

import type { Attempt } from "../attempts.ts";

export class Lanes {
  /** By worker and slot: who ran there, one after the other. */
  readonly workers = new Map<string, number[][]>();
  /** By job, in the order of their first attempts. */
  readonly jobs = new Map<string, number[]>();
  readonly slots: number[] = [];

  /** Seat those that were added to the list. */
  take(list: readonly Attempt[]): void {
    for (let place = this.slots.length; place < list.length; place += 1) {
      this.seat(list, place);
      enter(this.jobs, list[place].job, place);
    }
  }

  private seat(list: readonly Attempt[], place: number): void {
    const { worker, from } = list[place];
    let lanes = this.workers.get(worker);
    if (!lanes) this.workers.set(worker, (lanes = []));
    let slot = lanes.findIndex((lane) => isFree(list[lane.at(-1)!], from));
    if (slot < 0) slot = lanes.push([]) - 1;
    lanes[slot].push(place);
    this.slots.push(slot);
  }
}

const isFree = ({ upto }: Attempt, from: number): boolean => upto !== null && upto < from;

function enter(map: Map<string, number[]>, key: string, place: number): void {
  const places = map.get(key);
  if (places) places.push(place);
  else map.set(key, [place]);
}
