/**
 * One build on the page: live, or at a position in its past.
 *
 * The bulk (jobs, records) stays outside Svelte's state; `version` is raised at most once a frame when any
 * of it changed, and whoever reads `shown` or `attempts()` is drawn anew. Nothing handed out may be changed.
 */

import { Build, Unfollowable } from "../core/build.ts";
import type { Attempt } from "../core/attempts.ts";
import type { Clock } from "../core/clock.ts";
import { digest } from "../core/digest.ts";
import type { Farm } from "../core/farm.ts";
import { History } from "../core/history.ts";
import { CONNECTING, follow, getJson, probe, recordsUpto, Refused, type Link } from "../core/stream.ts";
import type { LogRecord, Snapshot, Tables } from "../core/types.ts";
import { coalesce } from "../parts/frames.ts";

export type HistoryState = "loading" | "ready" | "archived" | "failed";

/** Is what the page shows of a position what the coordinator says it was? */
export interface Check {
  readonly position: number;
  readonly verdict: "same" | "different" | "unknown";
}

export class BuildView {
  readonly path: string;
  /** The position shown; null for now. */
  at: number | null = $state(null);
  link: Link = $state.raw(CONNECTING);
  historyState: HistoryState = $state("loading");
  check: Check | null = $state.raw(null);
  private version = $state(0);
  private live: Build | null = null;
  /** `live` as it was when a frame was last drawn: always another object, or nobody would know that it changed. */
  private seen: Build | null = null;
  private past: History;
  private waiting: LogRecord[] = [];
  private readonly abort = new AbortController();
  private readonly changed = coalesce(() => {
    this.seen = this.live?.fork() ?? null;
    this.version += 1;
  });

  constructor(readonly id: string, private readonly tables: Tables, readonly clock: Clock, readonly farm: Farm) {
    this.path = `api/builds/${encodeURIComponent(id)}`;
    this.past = new History(tables);
  }

  /** Fetch the build and keep it live until `close`. */
  async open(): Promise<void> {
    const { signal } = this.abort;
    await follow({
      load: () => this.load(),
      check: () => probe(this.path, signal),
      path: `${this.path}/events`,
      take: (records) => this.take(records),
      link: (state, retryAt = 0, error) => {
        this.clock.freeze(state === "reconnecting");
        this.link = { state, retryAt, error: error ?? null };
        this.changed();
      },
      signal,
    });
  }

  close(): void {
    this.abort.abort();
  }

  /** The build at the moment that is shown; null until there is something, or before its first record. */
  get shown(): Build | null {
    void this.version;
    return this.at === null || this.historyState !== "ready" ? this.seen : this.past.at(this.at);
  }

  /** The build now. */
  get latest(): Build | null {
    void this.version;
    return this.seen;
  }

  get isPast(): boolean {
    return this.at !== null;
  }

  /** Where the shown moment stands in the log. */
  get position(): number {
    return this.shown?.position ?? 0;
  }

  /** The build's records, all of them once `historyState` is ready. */
  get history(): History {
    void this.version;
    return this.past;
  }

  /** What every worker's slots did up to the shown moment. */
  attempts(): Attempt[] {
    const { history } = this;
    return this.at === null ? history.attempts.list : history.attempts.upto(this.at);
  }

  /** Seconds since 1970 by the coordinator's clock: now, the build's end, or the moment shown of the past. */
  now(): number {
    const shown = this.shown;
    if (this.at !== null) return shown?.at ?? 0;
    return shown?.info.ended_at ?? this.clock.now();
  }

  get isRunning(): boolean {
    return !this.isPast && this.shown !== null && !this.shown.hasEnded;
  }

  /** A second went by: what is shown as running has run longer. */
  tick(): void {
    if (this.isRunning) this.changed();
  }

  /** Ask the coordinator whether what is shown of the past is what its log says. */
  async verify(): Promise<void> {
    const { at: position, shown } = this;
    if (position === null || shown === null || this.historyState !== "ready") return;
    const ours = await digest(shown);
    const { signal } = this.abort;
    const theirs = await getJson<{ digest: string }>(`${this.path}/digest?at=${position}`, { signal }).then(
      (answer) => answer.digest, () => null);
    if (this.at !== position) return;
    this.check = { position, verdict: !ours || !theirs ? "unknown" : ours === theirs ? "same" : "different" };
  }

  private async load(): Promise<number | null> {
    const snapshot = await getJson<Snapshot>(this.path, { signal: this.abort.signal, clock: this.clock });
    this.live = Build.ofSnapshot(snapshot, this.tables);
    this.changed();
    void this.loadHistory(snapshot.position);
    return this.live.hasEnded ? null : this.live.position;
  }

  private take(records: readonly LogRecord[]): number | null {
    const live = this.live!;
    for (const record of records) {
      if (record.at) this.clock.hear(record.at);
      live.take(record);
    }
    if (this.historyState === "loading") this.waiting.push(...records);
    else if (this.historyState === "ready") this.past.take(records);
    this.changed();
    return live.hasEnded ? null : live.position;
  }

  private async loadHistory(position: number): Promise<void> {
    const past = (this.past = new History(this.tables));
    this.historyState = "loading";
    this.waiting = [];
    try {
      for await (const records of recordsUpto(`${this.path}/events`, position, this.abort.signal)) past.take(records);
      if (past !== this.past) return;
      past.take(this.waiting.splice(0));
      this.historyState = "ready";
    } catch (error) {
      if (this.abort.signal.aborted || past !== this.past) return;
      if (error instanceof Unfollowable) throw error;
      this.historyState = error instanceof Refused && error.status === 410 ? "archived" : "failed";
    }
    this.changed();
  }
}
