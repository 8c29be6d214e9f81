/** How far a build is, in numbers and words. */

import type { Build } from "../core/build.ts";
import { count, many, type Look } from "../core/words.ts";

/** Jobs by what they look like. */
export function split({ counts, reused }: Build): Record<Look, number> {
  return { ...counts, reused, succeeded: counts.succeeded - reused };
}

export function progress({ counts, list }: Build): string {
  const done = counts.succeeded + counts.failed + counts.cancelled;
  const parts = [`${count(done)} of ${many(list.length, "job")} done`];
  for (const state of ["failed", "running"] as const) if (counts[state]) parts.push(`${count(counts[state])} ${state}`);
  return parts.join(" · ");
}
