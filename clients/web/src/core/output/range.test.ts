import { expect, it } from "vitest";
import { formatRange, parseRange, stretched } from "./range.ts";

it("reads what it writes, in either order", () => {
  expect(parseRange("123")).toEqual({ first: 123, last: 123 });
  expect(parseRange("140-123")).toEqual({ first: 123, last: 140 });
  for (const text of ["7", "7-9"]) expect(formatRange(parseRange(text)!)).toBe(text);
});

it.each([undefined, "", "0", "1-", "-1", "1-2-3", "x", "1e3", "9".repeat(16)])("is no range: %s", (text) => {
  expect(parseRange(text)).toBeNull();
});

it("stretches from where it began", () => {
  expect(stretched({ first: 5, last: 9 }, 9, 2)).toEqual({ first: 2, last: 9 });
  expect(stretched(null, null, 2)).toEqual({ first: 2, last: 2 });
});
