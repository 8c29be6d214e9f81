/** The jobs' graph in numbers: a job is its place in the build's list. It never changes once all jobs are there. */

import type { Job } from "../types.ts";

export interface Dag {
  readonly deps: readonly (readonly number[])[];
  readonly dependents: readonly (readonly number[])[];
  /** How far to the right: after all of its dependencies. */
  readonly layers: readonly number[];
}

export function dagOf(jobs: readonly Job[]): Dag {
  const places = new Map(jobs.map(({ id }, place) => [id, place]));
  return dag(jobs.map((job) => job.deps.map((id) => places.get(id)).filter((place) => place !== undefined)));
}

export function dag(deps: readonly (readonly number[])[]): Dag {
  const dependents = turned(deps);
  return { deps, dependents, layers: layersOf(deps, dependents) };
}

/** Each edge the other way round. */
export function turned(edges: readonly (readonly number[])[]): number[][] {
  const others = edges.map((): number[] => []);
  edges.forEach((targets, place) => targets.forEach((target) => others[target].push(place)));
  return others;
}

/** One more than the greatest among the dependencies; what depends on nothing stands right before who needs it. */
function layersOf(deps: Dag["deps"], dependents: Dag["dependents"]): number[] {
  const layers = Array<number>(deps.length).fill(0);
  const open = deps.map((each) => each.length);
  const ready = [...open.keys()].filter((place) => open[place] === 0);
  for (let place = ready.pop(); place !== undefined; place = ready.pop()) {
    for (const dependent of dependents[place]) {
      layers[dependent] = Math.max(layers[dependent], layers[place] + 1);
      if ((open[dependent] -= 1) === 0) ready.push(dependent);
    }
  }
  dependents.forEach((each, place) => {
    if (!deps[place].length && each.length) layers[place] = each.reduce((least, other) => Math.min(least, layers[other]), Infinity) - 1;
  });
  return layers;
}

/** Who is at most `levels` edges away, one way; nearest first, no more than `most`. */
export function reach(edges: readonly (readonly number[])[], from: number, levels: number, most: number): number[] {
  const found = new Set<number>();
  for (let [level, border] = [0, [from]]; level < levels && border.length; level += 1) {
    const next: number[] = [];
    for (const place of border) {
      for (const other of edges[place]) {
        if (found.size >= most) return [...found];
        if (found.has(other) || other === from) continue;
        found.add(other);
        next.push(other);
      }
    }
    border = next;
  }
  return [...found];
}

/** What a failure touched: the jobs that failed, those after them that were cancelled, and what led to the first. */
export function failedPath({ deps, dependents }: Dag, jobs: readonly Job[], first: number): Set<number> {
  const touched = new Set([...jobs.keys()].filter((place) => jobs[place].state === "failed"));
  for (const place of touched) {
    for (const dependent of dependents[place]) if (jobs[dependent]?.state === "cancelled") touched.add(dependent);
  }
  for (let place = first; place >= 0; place = lastToEnd(deps[place], jobs)) touched.add(place);
  return touched;
}

function lastToEnd(deps: readonly number[], jobs: readonly Job[]): number {
  return deps.reduce((last, dep) => (last < 0 || (jobs[dep].ended_at ?? 0) > (jobs[last].ended_at ?? 0) ? dep : last), -1);
}
