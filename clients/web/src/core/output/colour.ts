/** A program's colours on the page's ground, moved as far towards black or white as it takes to read them. */

import type { Colour, Style } from "./ansi.ts";

type Rgb = readonly [number, number, number];

const CONTRAST_MIN = 4.5;
// The page's, and what a line has that was chosen, on which text is hardest to read.
const GROUND: Readonly<Record<"light" | "dark", Rgb>> = { light: [255, 255, 255], dark: [13, 17, 23] };
const TINTED: Readonly<Record<"light" | "dark", Rgb>> = { light: [239, 230, 213], dark: [45, 39, 25] };
const TEXT: Readonly<Record<"light" | "dark", Rgb>> = { light: [27, 31, 36], dark: [230, 237, 243] };
// The sixteen that have names; 0 and 7 are darkest and lightest whatever the ground.
const NAMED: readonly Rgb[] = [
  [27, 31, 36], [196, 35, 43], [26, 127, 55], [154, 103, 0], [10, 102, 194], [122, 77, 191], [11, 122, 117], [190, 196, 203],
  [110, 120, 132], [255, 123, 114], [63, 185, 80], [210, 153, 34], [88, 166, 255], [188, 140, 255], [57, 197, 187], [240, 243, 246],
];

/** The colours to show; undefined is the page's own. */
export function coloursOf({ fg, bg, inverse }: Style, theme: "light" | "dark"): { color?: string; background?: string } {
  if (fg === null && bg === null && !inverse) return {};
  const hasGround = inverse || bg !== null;
  const ground = rgbOf(inverse ? fg : bg, inverse ? TEXT[theme] : TINTED[theme]);
  const text = rgbOf(inverse ? bg : fg, inverse ? GROUND[theme] : TEXT[theme]);
  return { color: css(readable(text, ground)), ...(hasGround && { background: css(ground) }) };
}

/** The text's colour, or the nearest one towards black or white that has enough contrast. */
export function readable(text: Rgb, ground: Rgb): Rgb {
  if (contrast(text, ground) >= CONTRAST_MIN) return text;
  const goal: Rgb = luminance(ground) > 0.18 ? [0, 0, 0] : [255, 255, 255];
  for (let share = 0.1; share < 1; share += 0.1) {
    const mixed = text.map((value, index) => Math.round(value + (goal[index] - value) * share)) as unknown as Rgb;
    if (contrast(mixed, ground) >= CONTRAST_MIN) return mixed;
  }
  return goal;
}

/** As WCAG has it. */
export function contrast(one: Rgb, other: Rgb): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(rgb: Rgb): number {
  const [red, green, blue] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function rgbOf(colour: Colour, own: Rgb): Rgb {
  if (colour === null) return own;
  if (typeof colour !== "number") return colour;
  if (colour < 16) return NAMED[colour];
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return [grey, grey, grey];
  }
  const level = (value: number): number => (value ? 55 + value * 40 : 0);
  const cube = colour - 16;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
}

const css = (rgb: Rgb): string => `rgb(${rgb.join(" ")})`;
