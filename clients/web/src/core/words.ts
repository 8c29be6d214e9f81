/** States, durations and reasons in words: the same ones everywhere on the page. */

import type { BuildStateName, Job, JobState } from "./types.ts";

/** What a job looks like: "reused" split off from "succeeded". */
export type Look = JobState | "reused";

export const ICONS: Readonly<Record<Look | BuildStateName | "lost" | "released", string>> = {
  uploading: "⇡", blocked: "◌", queued: "○", running: "◐", succeeded: "✓", reused: "⤓", failed: "✗", cancelled: "⊘",
  lost: "⁇", released: "⁇",
};

/** Why a worker got a job, and why it lost it again; other codes are read as they stand. */
export const REASONS: Readonly<Record<string, string>> = {
  "first-come": "",
  "holds-dependency": "went where a dependency's artifact lies",
  "holds-result": "went where an earlier result lies",
  "waited-for-dependency": "the worker with a dependency's artifact was busy",
  "waited-for-result": "the worker with an earlier result was busy",
  shared: "shared with another build that wants the same work",
  "worker-lost": "its worker was lost",
  "lease-ran-out": "its time limit ran out",
  "never-taken": "its worker never took it",
  "artifact-lost": "an artifact was lost",
  "artifact-unavailable": "an artifact could not be fetched",
  "dependency-failed": "a dependency failed",
  "build-failed": "the build failed",
  "build-cancelled": "the build was cancelled",
};

export const look = (job: Job): Look => (job.reused ? "reused" : job.state);
// Unseen themselves, they reorder what is around them: a name could look like another one.
const REORDERING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A name of somebody's, with a mark where it has a character that reorders text. */
export const seen = (name: string): string => name.replace(REORDERING, "�");

export const label = (thing: { readonly name: string; readonly id: string }): string => seen(thing.name || thing.id.slice(0, 8));
export const said = (reason: string): string => REASONS[reason] ?? reason;
export const count = (number: number): string => number.toLocaleString("en").replaceAll(",", "\u202f");
export const many = (number: number, word: string): string => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** `0.4s`, `42s`, `1m 03s`, `2h 05m`; tenths only for what has ended. */
export function duration(seconds: number, isRunning = false): string {
  const two = (number: number): string => String(number).padStart(2, "0");
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 10 && !isRunning) return `${Math.max(0, seconds).toFixed(1)}s`;
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** The time of day, with the day when it is not today. */
export function clockTime(at: number): string {
  const then = new Date(at * 1000);
  const time = then.toLocaleTimeString("en-GB");
  return then.toDateString() === new Date().toDateString() ? time : `${then.toISOString().slice(0, 10)} ${time}`;
}

/** Seconds the job waited for a worker, or has been waiting; null if it never did. */
export function waited(job: Job, now: number): number | null {
  if (job.queued_at === null || job.reused) return null;
  return (job.started_at ?? job.ended_at ?? now) - job.queued_at;
}

/** Seconds the last attempt ran, or has been running; null if none did. */
export function ran(job: Job, now: number): number | null {
  if (job.started_at === null || job.reused) return null;
  return (job.ended_at ?? now) - job.started_at;
}

/** A span of time as people read it; "" for none. */
export const span = (seconds: number | null, isRunning: boolean): string => (seconds === null ? "" : duration(seconds, isRunning));
