/** Attempts as they stood at a moment of the build; the attempts themselves are those of now. */

import type { Attempt, Outcome } from "../attempts.ts";

/** What the log said up to `position`, and the coordinator's time then. */
export interface Moment {
  readonly position: number;
  readonly now: number;
}

export const hasBegun = (attempt: Attempt, { position }: Moment): boolean => attempt.from <= position;

export const hasEnded = ({ upto }: Attempt, { position }: Moment): boolean => upto !== null && upto <= position;

/** When it ended, or the moment itself. */
export function endOf(attempt: Attempt, moment: Moment): number {
  return hasEnded(attempt, moment) ? attempt.endedAt! : Math.max(moment.now, attempt.startedAt);
}

export function outcomeOf(attempt: Attempt, moment: Moment): Outcome {
  return hasEnded(attempt, moment) ? attempt.outcome : "running";
}

/** For how long its worker fetched before it ran, as far as that is known by then. */
export function fetchedFor(attempt: Attempt, moment: Moment): number {
  return hasEnded(attempt, moment) ? Math.min(attempt.fetchSeconds, attempt.endedAt! - attempt.startedAt) : 0;
}

/** Where a sorted array begins to satisfy `test`; its length if it never does. */
export function firstWhere<T>(sorted: readonly T[], test: (item: T) => boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(sorted[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}
