import { expect, test } from "vitest";
import { read } from "./compact.ts";
import told from "./frames.json" with { type: "json" };

test("a frame says the very records of the lines", () => {
  expect(read(told.frames[0])).toEqual({ records: told.records, more: false });
});

test("a few records stand as they are", () => {
  const few = told.frames.slice(1).flatMap((frame) => read(frame).records);
  expect(few).toEqual(told.records.slice(0, few.length));
});

test("a sign of life is a record of its own kind, and a command may go on", () => {
  expect(read('{"type":"Progress","position":7}')).toEqual({ records: [{ type: "Progress", position: 7 }], more: false });
  expect(read('{"position":7,"more":true,"records":[{"position":7}]}')).toEqual({ records: [{ position: 7 }], more: true });
});
