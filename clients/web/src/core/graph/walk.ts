/** From item to item: by hand, and along the edges by keys. */

import { firstWhere } from "../gantt/moment.ts";
import type { Item } from "./groups.ts";
import type { Layout } from "./layout.ts";

/** The item whose column and row are there; -1 for none. */
export function itemAt({ items, stacks, rows }: Layout, column: number, row: number): number {
  const stack = stacks[column] ?? [];
  const place = firstWhere(stack, (index) => rows[index] + half(items[index]) >= row);
  return place < stack.length && rows[stack[place]] - half(items[stack[place]]) <= row ? stack[place] : -1;
}

// The rest of its height is left empty.
const half = ({ isGroup }: Item): number => (isGroup ? 0.7 : 0.4);

export type Way = "left" | "right" | "up" | "down";

/** The next item along an edge (the nearest in height), or above or below; the same if there is none. */
export function stepped({ columns, stacks, rows, next, before }: Layout, from: number, way: Way): number {
  if (way === "up" || way === "down") {
    const stack = stacks[columns[from]];
    return stack[stack.indexOf(from) + (way === "up" ? -1 : 1)] ?? from;
  }
  const sign = way === "right" ? 1 : -1;
  const others = (way === "right" ? next : before)[from].filter((other) => (columns[other] - columns[from]) * sign > 0);
  const away = (other: number): number => Math.abs(rows[other] - rows[from]) + Math.abs(columns[other] - columns[from]);
  return others.reduce((nearest, other) => (nearest === from || away(other) < away(nearest) ? other : nearest), from);
}
