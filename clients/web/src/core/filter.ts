/**
 * What the filter box understands: words that the name must have, and `state:failed`, `worker:w2`, `name:test`,
 * `>10s` or `<2m` for how long a job ran. All must hold. States may be several: `state:failed,cancelled`.
 */

import type { Farm } from "./farm.ts";
import type { Job } from "./types.ts";
import { label, look, ran } from "./words.ts";

export type Wanted = (job: Job) => boolean;

const UNITS: Readonly<Record<string, number>> = { "": 1, ms: 0.001, s: 1, m: 60, h: 3600 };

/** The jobs that the text asks for; null when it asks for all. `now` in seconds, for those that still run. */
export function parseFilter(text: string, farm: Farm, now: () => number): Wanted | null {
  const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => test(word, farm, now));
  return tests.length ? (job) => tests.every((wanted) => wanted(job)) : null;
}

function test(word: string, farm: Farm, now: () => number): Wanted {
  const [, key, value] = /^(state|worker|name):(.*)$/.exec(word) ?? [];
  const [, sign, number, unit] = /^([<>])(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(word) ?? [];
  if (sign) {
    const seconds = Number(number) * UNITS[unit ?? ""];
    return (job) => {
      const took = ran(job, now());
      return took !== null && (sign === ">" ? took > seconds : took < seconds);
    };
  }
  const has = (job: Job, part: string): boolean => label(job).toLowerCase().includes(part) || job.id.startsWith(part);
  const by = (job: Job, part: string): boolean => job.worker !== null && farm.name(job.worker).toLowerCase().includes(part);
  if (key === "state") return (job) => value.split(",").includes(look(job)) || value.split(",").includes(job.state);
  if (key === "worker") return (job) => by(job, value);
  if (key === "name") return (job) => has(job, value);
  return (job) => has(job, word) || by(job, word);
}
