import { describe, expect, it } from "vitest";
import { plain } from "./ansi.ts";
import { BLOCK_BYTES, BLOCKS_MAX, LINE_BYTES_MAX, OutputStore, type Numbers } from "./store.ts";

/** What a coordinator tells of these bytes. */
function numbers(bytes: Uint8Array): Numbers {
  const before: number[] = [];
  let newlines = 0;
  bytes.forEach((byte, at) => {
    if (at % BLOCK_BYTES === 0) before.push(newlines);
    if (byte === 10) newlines += 1;
  });
  if (bytes.length % BLOCK_BYTES === 0) before.push(newlines);
  return { size: bytes.length, newlines, before, block_bytes: BLOCK_BYTES, grows: false };
}

class Disk {
  asked: number[] = [];
  constructor(public bytes: Uint8Array) {}
  readonly fetch = async (offset: number, limit: number): Promise<Uint8Array> => {
    this.asked.push(offset / BLOCK_BYTES);
    return this.bytes.slice(offset, offset + limit);
  };
  store(size = this.bytes.length): OutputStore {
    return new OutputStore(numbers(this.bytes.subarray(0, size)), this.fetch);
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const lineText = (store: OutputStore, number: number): string | undefined => {
  const line = store.line(number);
  return line && plain(line);
};

/** Lines of all lengths, whose letters have one to four bytes, so that some lie across the edges of blocks. */
function text(lines: number): string[] {
  return Array.from({ length: lines }, (_, at) => `${at + 1} ${["é", "漢", "👍", "x"][at % 4].repeat((at * 7919) % 300)}`);
}

describe("lines", () => {
  const lines = text(3000);
  const disk = new Disk(encode(lines.join("\n")));

  it("are where their numbers say, whatever is loaded first", async () => {
    const store = disk.store();
    await store.loadEnd();
    expect(store.count).toBe(3000);
    for (const first of [2990, 1, 1500, 700, 2200]) {
      await store.load(first, first + 10);
      for (let number = first; number <= first + 10; number += 1) {
        expect(lineText(store, number)).toBe(lines[number - 1]);
        expect(store.offsetOf(number)).toBe(encode(lines.slice(0, number - 1).map((line) => `${line}\n`).join("")).length);
      }
    }
    expect(store.line(3001)).toBeUndefined();
  });

  it("are not there before their bytes are", async () => {
    const store = disk.store();
    expect(store.line(1500)).toBeUndefined();
    expect(await store.load(1500, 1500)).toBe(true);
    expect(await store.load(1500, 1500)).toBe(false);
    expect(lineText(store, 1500)).toBe(lines[1499]);
    expect(store.line(1)).toBeUndefined();
  });

  it("that lie on the edge of a block are whole", async () => {
    for (const length of [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1]) {
      const store = new Disk(encode(`${"a".repeat(length)}\nsecond\n`)).store();
      await store.load(1, 2);
      expect(store.count).toBe(2);
      expect(store.line(1)!.cut).toBe(length - 8000);
      expect(lineText(store, 2)).toBe("second");
    }
  });

  it("are read up to a bound", async () => {
    const store = new Disk(encode(`${"a".repeat(40 * BLOCK_BYTES)}\nend`)).store();
    await store.loadEnd();
    await store.load(1, 1);
    expect(store.line(1)!.cut).toBe(40 * BLOCK_BYTES - 8000);
    expect(LINE_BYTES_MAX).toBeLessThan(BLOCK_BYTES);
  });
});

describe("growth", () => {
  it("goes on from the end, in pieces of any size", async () => {
    const lines = text(2000);
    const bytes = encode(`${lines.join("\n")}\n`);
    const disk = new Disk(bytes.slice(0, 70_001));
    const store = disk.store();
    await store.loadEnd();
    for (let at = 70_001, step = 1; at < bytes.length; at += step, step = (step * 7 + 1) % 40_000) store.append(bytes.subarray(at, at + step));
    disk.bytes = bytes;
    expect([store.size, store.newlines, store.count]).toEqual([bytes.length, 2000, 2000]);
    await store.load(1, 2000);
    for (const number of [1, 500, 1000, 1999, 2000]) expect(lineText(store, number)).toBe(lines[number - 1]);
  });

  it("is counted where the end is not here, and fetched when it is looked at", async () => {
    const disk = new Disk(encode("one\ntwo\nthr"));
    const store = disk.store();
    store.append(encode("ee\nfour\n"));
    expect(store.count).toBe(4);
    disk.bytes = encode("one\ntwo\nthree\nfour\n");
    await store.load(1, 4);
    expect([1, 2, 3, 4].map((number) => lineText(store, number))).toEqual(["one", "two", "three", "four"]);
  });

  it("does not mind bytes that were fetched before they were counted", async () => {
    const disk = new Disk(encode("one\ntwo\nthree"));
    const store = disk.store(8);
    await store.load(1, 2);
    expect(store.count).toBe(2);
    store.append(encode("three"));
    expect(lineText(store, 3)).toBe("three");
  });
});

it("takes the end that came before the numbers", async () => {
  const bytes = encode("line\n".repeat(60_000));
  const disk = new Disk(bytes);
  const store = disk.store();
  store.offer(bytes.length - 200_000, bytes.slice(-200_000));
  expect(await store.load(60_000, 60_000)).toBe(false);
  expect(lineText(store, 60_000)).toBe("line");
  expect(store.count).toBe(60_000);
  expect(disk.asked).toEqual([]);
});

it("keeps so many blocks and lets those go that were not looked at for long", async () => {
  const each = 64; // lines in a block
  const disk = new Disk(encode(`${"x".repeat(BLOCK_BYTES / each - 1)}\n`.repeat((BLOCKS_MAX + 20) * each)));
  const store = disk.store();
  for (let index = 0; index < BLOCKS_MAX + 20; index += 1) {
    await store.load(index * each + 2, index * each + 2);
    await store.load(2, 2); // looked at again and again
  }
  disk.asked = [];
  await store.load(2, 2);
  expect(disk.asked).toEqual([]);
  await store.load(each * 3 + 2, each * 3 + 2);
  expect(disk.asked).toEqual([3]);
});

it("carries a colour over lines and blocks, once what is before them is here", async () => {
  const store = new Disk(encode(`\x1b[31mred\n${"x\n".repeat(BLOCK_BYTES)}\x1b[0mend\nafter`)).store();
  const far = BLOCK_BYTES - 5;
  await store.load(far, far);
  expect(store.line(far)!.spans[0].style.fg).toBeNull();
  await store.load(1, BLOCK_BYTES + 3);
  expect(store.line(far)!.spans[0].style.fg).toBe(1);
  expect(store.line(BLOCK_BYTES + 3)!.spans[0].style.fg).toBeNull();
});

it("has nothing to show of nothing", async () => {
  const store = new Disk(new Uint8Array()).store();
  expect(await store.loadEnd()).toBe(false);
  expect(store.count).toBe(0);
  store.append(encode("x"));
  expect(lineText(store, 1)).toBe("x");
});
