import { expect, it } from "vitest";
import { HEIGHT_MAX, Scale } from "./scale.ts";

it("is the list itself while that is not too high", () => {
  const scale = new Scale(5000);
  expect([scale.height, scale.toReal(123), scale.toBar(4999)]).toEqual([5000, 123, 4999]);
});

it("stands for places of a list that is, in both directions, a pixel for a pixel at the ends", () => {
  const scale = new Scale(HEIGHT_MAX * 5);
  expect(scale.height).toBe(HEIGHT_MAX);
  for (const bar of [0, 20, 99_999, 100_000, 3_000_000, HEIGHT_MAX - 100_001, HEIGHT_MAX - 20, HEIGHT_MAX]) expect(scale.toBar(scale.toReal(bar))).toBeCloseTo(bar, 3);
  expect(scale.toReal(18)).toBe(18);
  expect(scale.toReal(HEIGHT_MAX - 18)).toBe(scale.real - 18);
  const places = Array.from({ length: 1000 }, (_, step) => scale.toReal((step * HEIGHT_MAX) / 1000));
  expect(places.every((place, step) => step === 0 || place > places[step - 1])).toBe(true);
});
