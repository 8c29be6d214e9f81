/** A text in all of an output: how many lines have it, and the nearest one from where one looks. */

/** `GET …/output/search`. */
export interface Matches {
  readonly size: number;
  readonly next: number;
  readonly count: number;
  readonly lines: readonly { readonly line: number; readonly offset: number }[];
}

export interface Search {
  readonly from: number;
  readonly until?: number;
  readonly limit: number;
}

export type Ask = (search: Search) => Promise<Matches>;

const LISTED_MAX = 10_000;
const WINDOW_BYTES = 1 << 20;

export class Finder {
  /** Lines that have the text, as far as was looked. */
  count = 0;
  /** The first of them, by number. */
  readonly listed: number[] = [];
  /** How far was looked, in bytes. */
  upto = 0;

  constructor(private readonly ask: Ask) {}

  get isListed(): boolean {
    return this.listed.length === this.count;
  }

  /** Look through what is there, up to `size`; `found` hears of each step. */
  async read(size: () => number, found: () => void, signal: AbortSignal): Promise<void> {
    while (this.upto < size() && !signal.aborted) {
      const { next, count, lines } = await this.ask({ from: this.upto, limit: Math.max(0, LISTED_MAX - this.listed.length) });
      if (signal.aborted || next <= this.upto) return; // the last line has no end yet
      this.count += count;
      this.listed.push(...lines.map(({ line }) => line));
      this.upto = next;
      found();
    }
  }

  /** The place of a line among those that match, from 1 on; 0 if it is none or that is not known. */
  ordinal(line: number): number {
    const at = this.after(line - 1);
    return this.listed[at] === line ? at + 1 : 0;
  }

  /** The first line that matches beyond this one, or else of all; null if none is known to. */
  async next(line: number, near: (line: number) => number, size: number): Promise<number | null> {
    const at = this.after(line);
    if (at < this.listed.length) return this.listed[at];
    if (this.isListed) return this.listed[0] ?? null;
    for (let from = near(line); from < size; ) {
      const found = await this.ask({ from, limit: LISTED_MAX });
      const first = found.lines.find((each) => each.line > line);
      if (first) return first.line;
      if (found.next <= from) break;
      from = found.lines.length < found.count ? found.lines[found.lines.length - 1].offset + 1 : found.next;
    }
    return this.listed[0] ?? null;
  }

  /** The last line that matches before this one, or else of all. */
  async previous(line: number, near: (line: number) => number, size: number): Promise<number | null> {
    const at = this.after(line - 1) - 1;
    if (this.isListed || (at >= 0 && at < this.listed.length - 1)) return this.listed[at] ?? (await this.lastOf(size));
    return (await this.lastBefore(line, near(line))) ?? (await this.lastOf(size));
  }

  private async lastOf(size: number): Promise<number | null> {
    if (this.isListed) return this.listed.at(-1) ?? null;
    return this.lastBefore(Infinity, size);
  }

  private async lastBefore(line: number, offset: number): Promise<number | null> {
    let until = offset + (line === Infinity ? 0 : 2 * (64 << 10));
    for (let window = WINDOW_BYTES; until > 0; window *= 2) {
      const from = Math.max(0, until - window);
      const found = await this.lastIn(from, until, line);
      if (found !== null) return found;
      until = from;
    }
    return null;
  }

  /** The last match of the lines that begin in this stretch, asked for in as many pieces as it takes. */
  private async lastIn(begin: number, until: number, line: number): Promise<number | null> {
    let last: number | null = null;
    for (let from = begin; from < until; ) {
      const found = await this.ask({ from, until, limit: LISTED_MAX });
      const fits = found.lines.filter((each) => each.line < line);
      if (fits.length) last = fits[fits.length - 1].line;
      if (fits.length < found.lines.length || found.next <= from) break;
      from = found.lines.length < found.count ? found.lines[found.lines.length - 1].offset + 1 : found.next;
    }
    return last;
  }

  /** How many of the listed lines are at or before this one. */
  private after(line: number): number {
    let [low, high] = [0, this.listed.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.listed[middle] <= line) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where a text stands in another, whatever the case: pairs of begin and end, without overlap. */
export function occurrences(text: string, wanted: string): [number, number][] {
  const found: [number, number][] = [];
  const [inside, needle] = [text.toLowerCase(), wanted.toLowerCase()];
  if (!needle || inside.length !== text.length) return found; // a letter changed its length: better none than a wrong one
  for (let at = inside.indexOf(needle); at >= 0; at = inside.indexOf(needle, at + needle.length)) found.push([at, at + needle.length]);
  return found;
}
