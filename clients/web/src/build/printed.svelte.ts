/**
 * What one attempt prints to one stream, as a page shows it: its end at once, then with numbers, then as it grows.
 *
 * Bytes stay outside Svelte's state; `version` is raised once a frame when any of them came.
 */

import { PLAIN, spansOf, type Line } from "../core/output/ansi.ts";
import { Finder, type Matches } from "../core/output/finder.ts";
import { OutputStore, type Numbers } from "../core/output/store.ts";
import { followOutput } from "../core/output.ts";
import { getJson, Refused, sleep } from "../core/stream.ts";
import { coalesce } from "../parts/frames.ts";

const TAIL_BYTES = 64 << 10;
const TAIL_LINES = 200;
const RETRY_MS = 1000;

export type Stream = "stdout" | "stderr";

export interface Source {
  /** Of the job's output: `api/builds/ID/jobs/ID/output`. */
  readonly path: string;
  readonly stream: Stream;
  readonly lease: string;
}

export class Printed {
  /** Null until the numbers of its lines are known. */
  store: OutputStore | null = $state.raw(null);
  /** The last lines, while the store is not there. */
  tail: readonly Line[] = $state.raw([]);
  /** Why there is nothing to show, and will not be. */
  gone = $state("");
  isWaiting = $state(false);
  grows = $state(false);
  version = $state(0);
  finder: Finder | null = $state.raw(null);
  isSearching = $state(false);
  private wanted = "";
  private searching = new AbortController();
  private readonly abort = new AbortController();
  private readonly query: string;
  private readonly changed = coalesce(() => (this.version += 1));

  /** `isOver`: the attempt has ended, so no more will come than there is. */
  constructor(readonly source: Source, private readonly isOver: () => boolean) {
    this.query = `stream=${source.stream}&lease=${encodeURIComponent(source.lease)}`;
  }

  /** Fetch and follow until `close`. */
  async open(): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted && this.store === null && !this.gone) {
      try {
        await this.begin(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && error.isFinal) this.gone = error.message;
        else if (!(error instanceof TypeError || error instanceof Refused)) throw error;
        this.isWaiting = true;
        await sleep(RETRY_MS, signal);
      }
    }
    const { store } = this;
    if (!store || !this.grows) return;
    const add = (bytes: Uint8Array): void => {
      store.append(bytes);
      this.changed();
      void this.search(this.wanted);
    };
    await followOutput({ url: `${this.source.path}?${this.query}`, offset: store.size, add, isOver: this.isOver, signal });
    if (!signal.aborted) this.grows = false;
  }

  close(): void {
    this.abort.abort();
    this.searching.abort();
  }

  /** Have these lines here, or ask again in a while. */
  async load(first: number, last: number): Promise<void> {
    const { signal } = this.abort;
    while (!signal.aborted) {
      try {
        if (await this.store!.load(first, last)) this.changed();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof TypeError || error instanceof Refused)) throw error; // the pill tells of outages
        await sleep(RETRY_MS, signal);
      }
    }
  }

  /** Look for a text in all of it, and in what will come; nothing for "". */
  async search(wanted: string): Promise<void> {
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.searching.abort();
      this.searching = new AbortController();
      this.isSearching = false;
      this.finder = wanted ? new Finder((search) => this.ask(wanted, { ...search })) : null;
    }
    const { finder, store } = this;
    if (!finder || !store || this.isSearching) return;
    const { signal } = this.searching;
    this.isSearching = true;
    try {
      await finder.read(() => store.size, this.changed, signal);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Refused) && !signal.aborted) throw error;
    }
    if (!signal.aborted) this.isSearching = false;
    this.changed();
  }

  /** The line to look at first, of either stream. */
  firstError(): Promise<{ found: Worth | null }> {
    return firstError(this.source.path, this.source.lease, this.abort.signal);
  }

  private async begin(signal: AbortSignal): Promise<void> {
    const numbering = getJson<Numbers>(`${this.source.path}/lines?${this.query}`, { signal });
    numbering.catch(() => {}); // it is awaited below, unless the bytes fail first
    const [offset, bytes] = await this.bytes(-TAIL_BYTES, TAIL_BYTES, signal);
    this.tail = lastLines(bytes, offset > 0);
    const numbers = await numbering;
    const store = new OutputStore(numbers, async (from, limit) => (await this.bytes(from, limit, signal))[1]);
    store.offer(offset, bytes);
    await store.loadEnd();
    [this.store, this.grows, this.isWaiting] = [store, numbers.grows, false];
  }

  private async bytes(from: number, limit: number, signal: AbortSignal): Promise<[number, Uint8Array]> {
    const answer = await fetch(`${this.source.path}?${this.query}&from=${from}&limit=${limit}`, { signal, cache: "no-store" });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
    return [Number(answer.headers.get("terzetto-from")), new Uint8Array(await answer.arrayBuffer())];
  }

  private ask(wanted: string, search: Readonly<Record<string, number>>): Promise<Matches> {
    const asked = Object.entries(search).map(([name, value]) => `&${name}=${value}`).join("");
    return getJson<Matches>(`${this.source.path}/search?${this.query}&q=${encodeURIComponent(wanted)}${asked}`, { signal: this.searching.signal });
  }
}

/** `GET …/output/first-error`. */
export interface Worth {
  readonly kind: "error" | "mention" | "last";
  readonly stream: Stream;
  readonly line: number;
  readonly offset: number;
  readonly text: string;
}

export function firstError(path: string, lease: string, signal: AbortSignal): Promise<{ found: Worth | null }> {
  return getJson(`${path}/first-error?lease=${encodeURIComponent(lease)}`, { signal });
}

/** The last lines of the bytes; the first of them may be a part of one, then it is left out. */
export function lastLines(bytes: Uint8Array, isCut: boolean, most = TAIL_LINES): Line[] {
  const lines = new TextDecoder().decode(bytes).split("\n");
  if (isCut) lines.shift();
  if (lines.at(-1) === "") lines.pop();
  return lines.slice(-most).map((line) => spansOf(line, PLAIN));
}
