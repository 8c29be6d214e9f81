/**
 * All of a build's records, and the build at any of them.
 *
 * Every so many records the moment is kept, so that another is near: a few thousand records away at most.
 */

import { Build } from "./build.ts";
import { Attempts } from "./attempts.ts";
import type { LogRecord, Tables } from "./types.ts";

const SPACING_MIN = 2000;

export class History {
  /** By position; the first is BuildStarted. */
  readonly records: LogRecord[] = [];
  readonly attempts = new Attempts();
  private kept: { index: number; build: Build }[] = [];
  private head: Build | null = null;
  private headIndex = -1;
  /** The last one asked for, to go on from if the next is a little later. */
  private near: { index: number; build: Build } | null = null;

  constructor(private readonly tables: Tables) {}

  /** The position of the last record; 0 while there is none. */
  get position(): number {
    return this.records.at(-1)?.position ?? 0;
  }

  /** Take the records that follow. Those that are known are skipped. Throws `Unfollowable`. */
  take(records: readonly LogRecord[]): void {
    for (const record of records) {
      if (record.position <= this.position || record.type === "Progress") continue;
      this.records.push(record);
      this.advance(record);
    }
  }

  /** How many records are at or before the position. */
  countUpto(position: number): number {
    let [low, high] = [0, this.records.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.records[middle].position <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The build after its last record at or before the position; null before its first. Not to be changed. */
  at(position: number): Build | null {
    const index = this.countUpto(position) - 1;
    if (index < 0) return null;
    if (this.near?.index === index) return this.near.build;
    const start = this.startFor(index);
    const build = start.build.fork();
    for (let each = start.index + 1; each <= index; each += 1) build.take(this.records[each]);
    this.near = { index, build };
    return build;
  }

  private startFor(index: number): { index: number; build: Build } {
    const kept = this.kept[lastAtOrBefore(this.kept, index)];
    return this.near && this.near.index <= index && this.near.index > kept.index ? this.near : kept;
  }

  private advance(record: LogRecord): void {
    if (this.head === null) this.head = Build.ofStart(record, this.tables);
    else this.head.take(record);
    this.headIndex += 1;
    this.attempts.take(record);
    const last = this.kept.at(-1);
    const spacing = Math.max(SPACING_MIN, this.head.list.length / 4);
    if (!last || this.headIndex - last.index >= spacing) this.kept.push({ index: this.headIndex, build: this.head.fork() });
  }
}

function lastAtOrBefore(kept: readonly { index: number }[], index: number): number {
  let [low, high] = [0, kept.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (kept[middle].index <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}
