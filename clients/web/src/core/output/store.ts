/**
 * What one attempt printed to one stream, of which only blocks that somebody looks at are here.
 *
 * The coordinator tells how many newlines come before each block, so every line has its number and its place
 * before the bytes are loaded; bytes that come while it grows are counted here. Blocks that were not looked at for
 * long are let go.
 */

import { closing, PLAIN, spansOf, type Line, type Style } from "./ansi.ts";

export const BLOCK_BYTES = 64 << 10;
export const BLOCKS_MAX = 192;
/** Of a longer line only so much is read. */
export const LINE_BYTES_MAX = 32 << 10;
const NEWLINE = 10;

/** `GET …/output/lines`. */
export interface Numbers {
  readonly size: number;
  readonly newlines: number;
  readonly before: readonly number[];
  readonly block_bytes: number;
  readonly grows: boolean;
}

/** Fetches up to `limit` bytes from `offset` on. */
export type Fetch = (offset: number, limit: number) => Promise<Uint8Array>;

interface Block {
  readonly bytes: Uint8Array;
  /** Where in the block its newlines are. */
  readonly newlines: Uint32Array;
  /** The look at the block's beginning, after each of its newlines, and at its end; null until asked for. */
  styles: readonly Style[] | null;
}

export class OutputStore {
  size: number;
  /** Newlines in all. */
  newlines: number;
  private readonly before: number[];
  private readonly blocks = new Map<number, Block>();
  private readonly loading = new Map<number, Promise<void>>();
  private endsInLine: boolean;
  private readonly decoder = new TextDecoder();

  constructor({ size, newlines, before, block_bytes }: Numbers, private readonly fetch: Fetch) {
    if (block_bytes !== BLOCK_BYTES) throw new Error(`blocks of ${block_bytes} bytes`);
    [this.size, this.newlines, this.before] = [size, newlines, [...before]];
    this.endsInLine = size > 0; // until the last block tells
  }

  /** How many lines there are; the last one may have no newline yet. */
  get count(): number {
    return this.newlines + Number(this.endsInLine);
  }

  /** Bytes that were printed since: they begin where those before them ended. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const index = Math.floor(this.size / BLOCK_BYTES);
      const piece = bytes.subarray(at, at + (index + 1) * BLOCK_BYTES - this.size);
      this.extend(index, piece);
      this.size += piece.length;
      this.newlines += countNewlines(piece);
      if (this.size % BLOCK_BYTES === 0) this.before.push(this.newlines);
      at += piece.length;
    }
    if (bytes.length) this.endsInLine = bytes[bytes.length - 1] !== NEWLINE;
  }

  /** The line of this number, from 1 on; undefined while its bytes are not here. */
  line(number: number): Line | undefined {
    const place = this.placeOf(number);
    if (place === undefined) return undefined;
    const style = this.styleAt(place.first, number);
    const text = this.decoder.decode(place.bytes);
    const line = spansOf(text, style);
    return place.missing ? { ...line, cut: line.cut + place.missing } : line;
  }

  /** The byte at which the line begins; undefined while that is not known. */
  offsetOf(number: number): number | undefined {
    if (number === 1) return 0;
    const index = this.blockOfNewline(number - 1);
    const block = this.blocks.get(index);
    const newline = block?.newlines[number - 2 - this.before[index]];
    return newline === undefined ? undefined : index * BLOCK_BYTES + newline + 1;
  }

  /** A byte not beyond the beginning of the line, and at most a block before it. */
  nearestOffset(number: number): number {
    return this.offsetOf(number) ?? this.blockOfNewline(number - 1) * BLOCK_BYTES;
  }

  /** Have the bytes of these lines here; false if they were here already. Rejects as `fetch` does. */
  async load(first: number, last: number): Promise<boolean> {
    if (!this.size) return false;
    const from = first <= 1 ? 0 : this.blockOfNewline(first - 1);
    const upto = last > this.newlines ? this.lastBlock : this.blockOfNewline(last);
    const missing: Promise<void>[] = [];
    for (let index = from; index <= upto && missing.length < 16; index += 1) {
      if (this.touch(index)) continue;
      missing.push(this.loading.get(index) ?? this.loadBlock(index));
    }
    await Promise.all(missing);
    return missing.length > 0;
  }

  /** Have the end here, which tells whether the last line has one. */
  loadEnd(): Promise<boolean> {
    return this.load(this.newlines + 1, this.newlines + 1);
  }

  /** Bytes that were fetched before the numbers were known: those of the end, from `offset` on. */
  offer(offset: number, bytes: Uint8Array): void {
    for (let index = Math.ceil(offset / BLOCK_BYTES); index <= this.lastBlock; index += 1) {
      const begin = index * BLOCK_BYTES - offset;
      this.keep(index, bytes.slice(begin, begin + BLOCK_BYTES));
    }
  }

  private get lastBlock(): number {
    return Math.floor(Math.max(0, this.size - 1) / BLOCK_BYTES);
  }

  private loadBlock(index: number): Promise<void> {
    const loading = this.fetch(index * BLOCK_BYTES, BLOCK_BYTES)
      .then((bytes) => this.keep(index, bytes))
      .finally(() => this.loading.delete(index));
    this.loading.set(index, loading);
    return loading;
  }

  /** Take a block in, as far as its bytes are counted. */
  private keep(index: number, bytes: Uint8Array): void {
    const counted = Math.min(BLOCK_BYTES, this.size - index * BLOCK_BYTES);
    if (bytes.length < counted) return; // it has grown meanwhile, and will be asked for again
    this.put(index, bytes.slice(0, counted));
    if (index === this.lastBlock) this.endsInLine = counted > 0 && bytes[counted - 1] !== NEWLINE;
  }

  private put(index: number, bytes: Uint8Array): void {
    this.blocks.delete(index);
    this.blocks.set(index, { bytes, newlines: newlinesOf(bytes), styles: null });
    if (this.blocks.size > BLOCKS_MAX) this.blocks.delete(this.blocks.keys().next().value!);
    // The looks of what follows rest on this block's.
    for (let next = index + 1; this.blocks.has(next); next += 1) this.blocks.get(next)!.styles = null;
  }

  /** Bytes at the end of what is there belong to a block that is here, or are only counted. */
  private extend(index: number, piece: Uint8Array): void {
    const inside = this.size - index * BLOCK_BYTES;
    const block = this.blocks.get(index);
    if ((block?.bytes.length ?? 0) !== inside) return;
    const bytes = new Uint8Array(inside + piece.length);
    if (block) bytes.set(block.bytes);
    bytes.set(piece, inside);
    this.put(index, bytes);
  }

  /** Is the whole block here? Then it is one that was looked at last. */
  private touch(index: number): boolean {
    const block = this.blocks.get(index);
    if (!block || block.bytes.length < Math.min(BLOCK_BYTES, this.size - index * BLOCK_BYTES)) return false;
    this.blocks.delete(index);
    this.blocks.set(index, block);
    return true;
  }

  /** The block in which the newline of this number is, from 1 on. */
  private blockOfNewline(number: number): number {
    let [low, high] = [0, this.before.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.before[middle] < number) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private placeOf(number: number): { first: number; bytes: Uint8Array; missing: number } | undefined {
    const begin = this.offsetOf(number);
    if (begin === undefined || number > this.count) return undefined;
    const end = number <= this.newlines ? this.endOf(number) : this.size;
    if (end === undefined) return undefined;
    const length = Math.min(end - begin, LINE_BYTES_MAX);
    const bytes = this.bytesAt(begin, length);
    return bytes && { first: Math.floor(begin / BLOCK_BYTES), bytes, missing: end - begin - length };
  }

  private endOf(number: number): number | undefined {
    const begin = this.offsetOf(number + 1);
    return begin === undefined ? undefined : begin - 1;
  }

  private bytesAt(offset: number, length: number): Uint8Array | undefined {
    const index = Math.floor(offset / BLOCK_BYTES);
    const block = this.blocks.get(index);
    const inside = offset - index * BLOCK_BYTES;
    if (length <= BLOCK_BYTES - inside) {
      const bytes = block?.bytes.subarray(inside, inside + length) ?? new Uint8Array();
      return bytes.length === length ? bytes : undefined;
    }
    const head = block?.bytes.subarray(inside);
    const tail = this.bytesAt((index + 1) * BLOCK_BYTES, length - (BLOCK_BYTES - inside));
    if (head?.length !== BLOCK_BYTES - inside || !tail) return undefined;
    const bytes = new Uint8Array(length);
    bytes.set(head);
    bytes.set(tail, head.length);
    return bytes;
  }

  /** The look at the beginning of a line that begins in block `index`. */
  private styleAt(index: number, number: number): Style {
    return this.stylesOf(index)[number - 1 - this.before[index]] ?? PLAIN;
  }

  private stylesOf(index: number): readonly Style[] {
    const block = this.blocks.get(index);
    if (!block) return [PLAIN];
    if (block.styles) return block.styles;
    let style = index ? this.stylesOf(index - 1).at(-1)! : PLAIN;
    const styles: Style[] = [style];
    const hasEscapes = block.bytes.includes(0x1b);
    let begin = 0;
    for (const end of [...block.newlines, block.bytes.length]) {
      if (hasEscapes) style = closing(this.decoder.decode(block.bytes.subarray(begin, end)), style);
      styles.push(style);
      begin = end + 1;
    }
    return (block.styles = styles);
  }
}

function countNewlines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

function newlinesOf(bytes: Uint8Array): Uint32Array {
  const places = new Uint32Array(countNewlines(bytes));
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) places[count++] = at;
  return places;
}
