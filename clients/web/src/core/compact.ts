/**
 * Records in the compact form, read: a third of the bytes of the lines, and the very same values.
 *
 * `coordinator/http/README.md` tells how a frame is made; `clients/compact.py` is the same in Python.
 */

import type { LogRecord } from "./types.ts";

/** A message of a stream: records, and whether the command of the last one goes on in the next message. */
export interface Message {
  readonly records: readonly LogRecord[];
  readonly more: boolean;
}

interface Column {
  readonly values?: readonly unknown[];
  readonly table?: string;
  readonly texts?: readonly (number | readonly number[])[];
}

interface Kind {
  readonly type: string;
  readonly same: Readonly<Record<string, unknown>>;
  readonly columns: Readonly<Record<string, Column>>;
}

interface Frame {
  readonly position: number;
  readonly more?: boolean;
  readonly records?: readonly LogRecord[];
  readonly order: readonly number[];
  readonly after: number;
  readonly steps: readonly number[];
  readonly start: number;
  readonly times: readonly (number | string)[];
  readonly tables: Readonly<Record<string, string | readonly string[]>>;
  readonly kinds: readonly Kind[];
}

type Said = Frame | (LogRecord & { readonly type: "Progress" });

const MICRO = 1_000_000;

/** What one message says; a sign of life is a record of the type Progress. */
export function read(message: string): Message {
  const said = JSON.parse(message) as Said;
  if ("type" in said) return { records: [said], more: false };
  return { records: said.records ?? byColumns(said), more: said.more ?? false };
}

/** Texts of a frame by table; `next` gives those that were not asked for yet, one after the other. */
class Table {
  private unread = 0;

  constructor(private readonly texts: readonly string[]) {}

  /** The text that a number stands for: its place from 1 on, or 0 for one that is new. */
  text(place: number): string {
    return this.texts[place === 0 ? this.unread++ : place - 1];
  }
}

function byColumns(frame: Frame): LogRecord[] {
  const tables = new Map(Object.entries(frame.tables).map(([name, said]) => [name, new Table(texts(name, said))]));
  const kinds = frame.kinds.map((kind) => ({ kind, row: 0, columns: columnsOf(kind, tables) }));
  let [position, micro] = [frame.after, frame.start];
  return frame.order.map((number, index) => {
    const time = frame.times[index];
    position += frame.steps[index];
    if (typeof time === "number") micro += time;
    const group = kinds[number];
    const record: Record<string, unknown> = {
      position, at: typeof time === "number" ? micro / MICRO : Number(time), type: group.kind.type, ...group.kind.same,
    };
    for (const [name, values] of group.columns) record[name] = values[group.row];
    group.row += 1;
    return record as unknown as LogRecord;
  });
}

function columnsOf({ columns }: Kind, tables: ReadonlyMap<string, Table>): [string, readonly unknown[]][] {
  return Object.entries(columns).map(([name, { values, table, texts: places }]) => {
    if (values !== undefined) return [name, values];
    const from = tables.get(table!)!;
    return [name, places!.map((place) => (typeof place === "number" ? from.text(place) : place.map((each) => from.text(each))))];
  });
}

/** The texts of a table: as they stand, or so many hex digits each, all their bytes in base64. */
function texts(name: string, said: string | readonly string[]): readonly string[] {
  if (typeof said !== "string") return said;
  const bytes = atob(said);
  const size = Number(name);
  let digits = "";
  for (let place = 0; place < bytes.length; place += 1) digits += HEX[bytes.charCodeAt(place)];
  return Array.from({ length: digits.length / size }, (_, index) => digits.slice(index * size, (index + 1) * size));
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
