import { expect, it } from "vitest";
import { PLAIN } from "./ansi.ts";
import { coloursOf, contrast } from "./colour.ts";

const rgb = (css: string): [number, number, number] => css.match(/\d+/g)!.map(Number) as [number, number, number];
const GROUNDS = { light: ["rgb(255 255 255)", "rgb(239 230 213)"], dark: ["rgb(13 17 23)", "rgb(45 39 25)"] };

it("leaves what has no colour to the page", () => {
  expect(coloursOf({ ...PLAIN, bold: true }, "light")).toEqual({});
});

it.each(["light", "dark"] as const)("is legible in any combination: %s", (theme) => {
  const some = [null, ...Array(256).keys(), [255, 255, 0], [1, 2, 3]] as const;
  for (const fg of some) {
    for (const bg of [null, 0, 1, 3, 7, 11, 15, 21, 46, 226, 244, [128, 128, 128]] as const) {
      for (const inverse of [false, true]) {
        const { color, background } = coloursOf({ ...PLAIN, fg, bg, inverse }, theme);
        if (color === undefined) expect([fg, bg, inverse]).toEqual([null, null, false]);
        else {
          const least = Math.min(...(background ? [background] : GROUNDS[theme]).map((ground) => contrast(rgb(color), rgb(ground))));
          expect(least, `${String(fg)} on ${String(bg)}`).toBeGreaterThanOrEqual(4.5);
        }
      }
    }
  }
});
