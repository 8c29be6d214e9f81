/** A build's records one by one: what each says, what it came of, and what it changed. */

import type { Build } from "./build.ts";
import type { LogRecord } from "./types.ts";

/** What every record has, or what is shown beside the rest. */
const BESIDE = new Set(["position", "at", "type", "build", "job", "worker"]);
const CHAIN_MAX = 100;

/** What the record says beside its type and what it is about, in short. */
export function says(record: LogRecord): string {
  return Object.entries(record).filter(([name, value]) => !BESIDE.has(name) && !isEmpty(value)).map(([name, value]) => `${name} ${brief(name, value)}`).join(" · ");
}

const isEmpty = (value: unknown): boolean => value === "" || value === null || value === false || (Array.isArray(value) && !value.length);

function brief(name: string, value: unknown): string {
  if (Array.isArray(value)) return String(value.length);
  if (typeof value === "object" && value !== null) return String(Object.keys(value).length);
  const text = String(value);
  return /^(lease|digest|session|key)$/.test(name) && text.length > 8 ? text.slice(0, 8) : text.slice(0, 120);
}

/** Does the record fit what the address asks for? `names` gives what people call a job or a worker. */
export function fits(record: LogRecord, type: string, job: string, text: string, names: (record: LogRecord) => string): boolean {
  if ((type && record.type !== type) || (job && record.job !== job)) return false;
  if (!text) return true;
  const wanted = text.toLowerCase();
  return String(record.position) === text || record.type.toLowerCase().includes(wanted) || names(record).toLowerCase().includes(wanted) ||
    says(record).toLowerCase().includes(wanted);
}

/** The records that led to the one at `index`, nearest first: their places in `records`. */
export function causes(records: readonly LogRecord[], index: number, build: Build): number[] {
  const chain: number[] = [];
  for (let at = causeOf(records, index, build); at >= 0 && chain.length < CHAIN_MAX; at = causeOf(records, at, build)) chain.push(at);
  return chain;
}

function causeOf(records: readonly LogRecord[], index: number, build: Build): number {
  const record = records[index];
  const { job } = record;
  const last = (fits: (other: LogRecord) => boolean): number => {
    for (let at = index - 1; at >= 0; at -= 1) if (fits(records[at])) return at;
    return -1;
  };
  const ofType = (...types: string[]): number => last(({ type }) => types.includes(type));
  const ofJob = (...types: string[]): number => last((other) => other.job === job && types.includes(other.type));
  const ofDependency = (...types: string[]): number => {
    const deps = new Set(build.job(job ?? "")?.deps);
    return deps.size ? last((other) => deps.has(other.job ?? "") && types.includes(other.type)) : -1;
  };
  const first = (...places: number[]): number => places.find((place) => place >= 0) ?? -1;
  switch (record.type) {
    case "BuildStarted":
      return -1;
    case "SourcesReady":
      return first(ofType("SignalReceived"), ofType("BuildStarted"));
    case "JobQueued":
    case "JobReused":
      return first(ofDependency("JobSucceeded", "JobReused"), ofType("SourcesReady"));
    case "JobLeased":
      return Math.max(ofJob("JobQueued"), ofJob("JobReleased"));
    case "JobSucceeded":
    case "JobFailed":
    case "JobReleased":
    case "LeaseRenewed":
      return ofJob("JobLeased");
    case "JobCancelled":
      if (record.reason === "dependency-failed") return first(ofDependency("JobFailed", "JobCancelled"), ofType("JobFailed"));
      return record.reason === "build-failed" ? ofType("JobFailed") : first(ofType("SignalReceived"), ofType("BuildStarted"));
    case "BuildSucceeded":
      return first(ofType("JobSucceeded", "JobReused"), ofType("SourcesReady"));
    case "BuildFailed":
      return ofType("JobFailed");
    case "BuildCancelled":
      return ofType("SignalReceived");
    default:
      return first(job === undefined ? -1 : last((other) => other.job === job), ofType("BuildStarted"));
  }
}

export interface Change {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

/** What is different of the record's job, or of the build, from before it to after it. */
export function changes(record: LogRecord, before: Build | null, after: Build): Change[] {
  const [one, other] = record.job === undefined ? [before?.info, after.info] : [before?.job(record.job), after.job(record.job)];
  const fields = Object.keys(other ?? {}) as (keyof typeof other)[];
  const told = (value: unknown): string => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
  return fields
    .filter((field) => field !== "position" && told(one?.[field]) !== told(other?.[field]))
    .map((field) => ({ field, before: told(one?.[field]), after: told(other?.[field]) }))
    .sort((a, b) => Number(b.field === "state") - Number(a.field === "state"));
}
