/**
 * What of a row is to be drawn: bars that are wide enough one by one, the others as crowds of a few pixels.
 *
 * However many attempts there are, what is drawn is bounded by the pixels of the row.
 */

import type { Attempt, Outcome } from "../attempts.ts";
import { endOf, firstWhere, outcomeOf, type Moment } from "./moment.ts";
import type { Span } from "./span.ts";

export interface Run {
  readonly x: number;
  width: number;
  /** Of a crowd: the worst of it. */
  readonly outcome: Outcome;
  /** Which part of the time somebody ran in, in quarters: 1 to 4. */
  readonly fill: number;
  /** The attempt; -1 for a crowd. */
  readonly place: number;
}

const SMALL = 3; // pixels; what is narrower goes into a crowd
const BUCKET = 3;
const BEYOND = 10; // as far as bars go beyond what is in sight
const FULL = 4;
const BADNESS: Readonly<Record<Outcome, number>> = { succeeded: 0, running: 1, cancelled: 2, released: 3, failed: 4 };

/** The row's runs in the span, which is `width` pixels wide; `places` are one after the other. */
export function runs(list: readonly Attempt[], places: readonly number[], span: Span, width: number, moment: Moment): Run[] {
  const found: Run[] = [];
  const scale = width / (span.upto - span.from);
  let crowd: Crowd | null = null;
  for (let index = firstWhere(places, (place) => endOf(list[place], moment) >= span.from); index < places.length; index += 1) {
    const attempt = list[places[index]];
    if (attempt.from > moment.position || attempt.startedAt > span.upto) break;
    const x = Math.max(-BEYOND, (attempt.startedAt - span.from) * scale);
    const upto = Math.min(width + BEYOND, (endOf(attempt, moment) - span.from) * scale);
    const bucket = Math.floor(x / BUCKET);
    const isWide = upto - x >= SMALL;
    while (crowd && (crowd.bucket !== bucket || isWide)) crowd = leave(crowd, found);
    if (isWide) found.push({ x, width: upto - x, outcome: outcomeOf(attempt, moment), fill: FULL, place: places[index] });
    else crowd = join(crowd, x, upto, outcomeOf(attempt, moment));
  }
  while (crowd) crowd = leave(crowd, found);
  return found;
}

/** What ran in a bucket; `over` is what reaches into the next one. */
interface Crowd {
  readonly bucket: number;
  busy: number;
  over: number;
  outcome: Outcome;
}

function join(crowd: Crowd | null, x: number, upto: number, outcome: Outcome): Crowd {
  const { bucket } = (crowd ??= { bucket: Math.floor(x / BUCKET), busy: 0, over: 0, outcome });
  const border = (bucket + 1) * BUCKET;
  crowd.busy += Math.min(upto, border) - x;
  crowd.over += Math.max(0, upto - border);
  if (BADNESS[outcome] > BADNESS[crowd.outcome]) crowd.outcome = outcome;
  return crowd;
}

/** Write the crowd down, as one with the run before it if they look the same; what is left for the next bucket. */
function leave({ bucket, busy, over, outcome }: Crowd, found: Run[]): Crowd | null {
  const fill = Math.max(1, Math.min(FULL, Math.ceil((busy / BUCKET) * FULL)));
  const last = found.at(-1);
  const x = bucket * BUCKET;
  if (last?.place === -1 && last.outcome === outcome && last.fill === fill && last.x + last.width === x) last.width += BUCKET;
  else found.push({ x, width: BUCKET, outcome, fill, place: -1 });
  return over > 0 ? { bucket: bucket + 1, busy: over, over: 0, outcome } : null;
}

/** The times in the span when nobody ran: after the row's first attempt began, up to the moment. */
export function gaps(list: readonly Attempt[], places: readonly number[], span: Span, moment: Moment, leastSeconds: number): Span[] {
  const found: Span[] = [];
  const first = Math.max(1, firstWhere(places, (place) => endOf(list[place], moment) >= span.from));
  const add = (from: number, upto: number): void => {
    if (upto - from >= leastSeconds && upto > span.from && from < span.upto) found.push({ from, upto });
  };
  for (let index = first; index <= places.length; index += 1) {
    const before = list[places[index - 1]];
    if (before.from > moment.position || endOf(before, moment) > span.upto) break;
    const next = index < places.length ? list[places[index]] : undefined;
    const upto = next && next.from <= moment.position ? next.startedAt : moment.now;
    add(endOf(before, moment), upto);
  }
  return found;
}
