import { describe, expect, it } from "vitest";
import { Finder, occurrences, type Matches, type Search } from "./finder.ts";

const LINE_BYTES = 100;
const STEP_BYTES = 4 << 20;

/** A coordinator whose lines have 100 bytes each, and that looks through a little at a time. */
class Output {
  asked = 0;
  constructor(readonly lines: number, readonly fits: (line: number) => boolean) {}
  get size(): number {
    return this.lines * LINE_BYTES;
  }
  readonly ask = async ({ from, until = Infinity, limit }: Search): Promise<Matches> => {
    this.asked += 1;
    const end = Math.min(this.size, from + STEP_BYTES, until);
    const all: Matches["lines"][number][] = [];
    let line = Math.ceil(from / LINE_BYTES) + 1;
    for (; (line - 1) * LINE_BYTES < end; line += 1) if (this.fits(line)) all.push({ line, offset: (line - 1) * LINE_BYTES });
    return { size: this.size, next: Math.max(from, (line - 1) * LINE_BYTES), count: all.length, lines: all.slice(0, limit) };
  };
  readonly near = (line: number): number => Math.floor(((line - 1) * LINE_BYTES) / 65_536) * 65_536;
}

async function finderOf(output: Output): Promise<Finder> {
  const finder = new Finder(output.ask);
  await finder.read(() => output.size, () => {}, new AbortController().signal);
  return finder;
}

describe.each([
  ["few", new Output(200_000, (line) => line % 1000 === 7)],
  ["more than are listed", new Output(200_000, (line) => line % 5 === 2)],
  ["far apart after many", new Output(400_000, (line) => line < 20_000 || line % 90_000 === 0)],
])("matches: %s", (_, output) => {
  const all = Array.from({ length: output.lines }, (_, at) => at + 1).filter(output.fits);

  it("are counted", async () => {
    expect((await finderOf(output)).count).toBe(all.length);
  });

  it("are found from anywhere, in both directions, and round the ends", async () => {
    const finder = await finderOf(output);
    for (const line of [1, all[0], all[1] + 1, 100_000, 199_999, all.at(-1)!, output.lines]) {
      const next = all.find((each) => each > line) ?? all[0];
      const previous = all.findLast((each) => each < line) ?? all.at(-1);
      expect([line, await finder.next(line, output.near, output.size)]).toEqual([line, next]);
      expect([line, await finder.previous(line, output.near, output.size)]).toEqual([line, previous]);
    }
  });
});

it("knows the place of a match among few", async () => {
  const finder = await finderOf(new Output(1000, (line) => line % 100 === 0));
  expect([100, 200, 250, 1000].map((line) => finder.ordinal(line))).toEqual([1, 2, 0, 10]);
});

it("finds nothing where there is nothing", async () => {
  const output = new Output(100_000, () => false);
  const finder = await finderOf(output);
  expect([finder.count, await finder.next(5, output.near, output.size), await finder.previous(5, output.near, output.size)]).toEqual([0, null, null]);
});

it("goes on when there is more", async () => {
  let lines = 10;
  const output = new Output(100, (line) => line % 2 === 0);
  const finder = new Finder((search) => output.ask({ ...search, until: lines * LINE_BYTES }));
  const read = (): Promise<void> => finder.read(() => lines * LINE_BYTES, () => {}, new AbortController().signal);
  await read();
  lines = 20;
  await read();
  expect([finder.count, finder.listed]).toEqual([10, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]]);
});

it("marks each occurrence in a line, whatever the case", () => {
  expect(occurrences("Error: no error", "ERROR")).toEqual([[0, 5], [10, 15]]);
  expect(occurrences("aaaa", "aa")).toEqual([[0, 2], [2, 4]]);
  expect(occurrences("ÄRGER", "ärger")).toEqual([[0, 5]]);
  expect(occurrences("İx", "x")).toEqual([]);
  expect(occurrences("x", "")).toEqual([]);
});
