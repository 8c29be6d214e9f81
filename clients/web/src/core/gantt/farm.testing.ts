/** Builds for tests and benches: random ones, the same for the same seed. */

import { Attempts } from "../attempts.ts";
import type { LogRecord } from "../types.ts";

/** Numbers that look random and are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Each job with some of the jobs before it as its dependencies: no cycles. */
export function randomDag(size: number, seed: number, depsMax = 3): number[][] {
  const next = random(seed);
  return Array.from({ length: size }, (_, place) => {
    const reach = Math.min(place, 200);
    const deps = new Set(Array.from({ length: Math.floor(next() * (depsMax + 1)) }, () => place - 1 - Math.floor(next() * reach)));
    return place ? [...deps].filter((dep) => dep >= 0) : [];
  });
}

export interface Farm {
  readonly records: LogRecord[];
  readonly attempts: Attempts;
  readonly deps: Map<string, string[]>;
  readonly slots: number;
}

/** What a farm's log says of a build with such dependencies: some leases are lost, and then others follow. */
export function farm(dag: readonly (readonly number[])[], seed: number, workers = 3, slots = 4, lost = 0.05): Farm {
  const next = random(seed);
  const [records, attempts]: [LogRecord[], Attempts] = [[], new Attempts()];
  const name = (place: number): string => `j${place}`;
  const open = dag.map((deps) => deps.length);
  const dependents = dag.map((): number[] => []);
  dag.forEach((deps, place) => deps.forEach((dep) => dependents[dep].push(place)));
  let [at, position] = [1000, 0];
  const tell = (type: string, place: number, more: object = {}): void => {
    records.push({ type, at, position: (position += 1), job: name(place), ...more });
    attempts.take(records.at(-1)!);
  };
  const ready: number[] = [];
  const queue = (place: number): void => {
    tell("JobQueued", place);
    ready.push(place);
  };
  open.forEach((count, place) => count || queue(place));
  const running: { place: number; worker: number; upto: number }[] = [];
  const free = Array<number>(workers).fill(slots);
  const tries = Array<number>(dag.length).fill(0);
  while (ready.length || running.length) {
    for (let worker = 0; worker < workers; worker += 1) {
      for (; free[worker] && ready.length; free[worker] -= 1) {
        const place = ready.shift()!;
        tell("JobLeased", place, { lease: `${position}`, worker: `w${worker}`, attempt: (tries[place] += 1), reason: "" });
        running.push({ place, worker, upto: at + 0.1 + next() * 3 });
      }
    }
    running.sort((a, b) => b.upto - a.upto);
    const { place, worker, upto } = running.pop()!;
    at = upto;
    free[worker] += 1;
    if (next() < lost) {
      tell("JobReleased", place, { reason: "worker-lost" });
      ready.push(place);
      continue;
    }
    tell("JobSucceeded", place);
    for (const dependent of dependents[place]) if ((open[dependent] -= 1) === 0) queue(dependent);
  }
  return { records, attempts, slots, deps: new Map(dag.map((deps, place) => [name(place), deps.map(name)])) };
}
