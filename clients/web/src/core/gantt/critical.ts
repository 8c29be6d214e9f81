/**
 * What determined how long the build took: back from what ended last, or is waited for longest.
 *
 * An attempt waits for its last dependency, for the end of an earlier attempt of its own job, or for a slot;
 * whichever ended last is before it on the path. `terzetto log critical-path` tells the same of a log.
 */

import type { Attempt } from "../attempts.ts";
import type { Lanes } from "./lanes.ts";
import { firstWhere, hasBegun, hasEnded, type Moment } from "./moment.ts";

/** Places of the attempts on the path, the first to begin first; none if nothing ran. */
export function criticalPath(list: readonly Attempt[], lanes: Lanes, depsOf: (job: string) => readonly string[], moment: Moment): number[] {
  const path: number[] = [];
  for (let place = last(list, moment); place >= 0; place = before(list, lanes, depsOf, place)) path.push(place);
  return path.reverse();
}

function last(list: readonly Attempt[], moment: Moment): number {
  let found = -1;
  for (let place = 0; place < list.length && hasBegun(list[place], moment); place += 1) {
    if (!hasEnded(list[place], moment)) return place;
    const { outcome } = list[place];
    if ((outcome === "succeeded" || outcome === "failed") && isLater(list, place, found)) found = place;
  }
  return found;
}

/** Whose end the attempt waited for last; -1 if it was ready from the beginning. */
function before(list: readonly Attempt[], lanes: Lanes, depsOf: (job: string) => readonly string[], place: number): number {
  const attempt = list[place];
  const slot = attempt.startedAt > attempt.queuedAt ? slotBefore(list, lanes.workers.get(attempt.worker)!, attempt) : -1;
  if (slot >= 0) return slot;
  let found = -1;
  const consider = (job: string, wanted: (other: Attempt) => boolean): void => {
    const places = lanes.jobs.get(job) ?? [];
    const other = places.findLast((each) => hadEnded(list[each], attempt) && wanted(list[each]));
    if (other !== undefined && isLater(list, other, found)) found = other;
  };
  for (const dep of depsOf(attempt.job)) consider(dep, ({ outcome }) => outcome === "succeeded");
  consider(attempt.job, () => true);
  return found;
}

/** Whose slot it got, if all slots were taken when it came to wait; -1 if one was free, or never used till then. */
function slotBefore(list: readonly Attempt[], worker: readonly number[][], attempt: Attempt): number {
  let found = -1;
  for (const lane of worker) {
    const place = lane[firstWhere(lane, (each) => list[each].from >= attempt.from) - 1];
    if (place === undefined) return -1;
    if (!hadEnded(list[place], attempt)) continue;
    if (list[place].endedAt! <= attempt.queuedAt) return -1;
    if (isLater(list, place, found)) found = place;
  }
  return found;
}

// Records that one heartbeat brought have one time, so positions tell what was first.
const hadEnded = ({ upto }: Attempt, { from }: Attempt): boolean => upto !== null && upto < from;

function isLater(list: readonly Attempt[], place: number, than: number): boolean {
  return than < 0 || list[place].upto! > list[than].upto!;
}
