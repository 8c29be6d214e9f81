/**
 * A line of a terminal program as pieces of text with a look: colours are kept, nothing else is obeyed.
 *
 * Titles, links, the clipboard, cursor moves and whatever else an escape sequence may ask for are dropped, other
 * control characters are shown as pictures of themselves, and so are marks that reorder text.
 */

/** A colour: one of the 256 of a palette, or red, green and blue; null is the page's own. */
export type Colour = number | readonly [number, number, number] | null;

export interface Style {
  readonly fg: Colour;
  readonly bg: Colour;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly strike: boolean;
  readonly inverse: boolean;
}

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export interface Line {
  readonly spans: readonly Span[];
  /** How many times the line was begun anew (by a carriage return); only the last is shown, as at a terminal. */
  readonly rewritten: number;
  /** How many characters are not shown. */
  readonly cut: number;
}

export const PLAIN: Style = {
  fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, strike: false, inverse: false,
};
export const CHARS_MAX = 8000;

/* eslint-disable no-control-regex */
// CSI sequences; strings (OSC, DCS, APC …) to their end; any other sequence. What never ends stays, as text.
const ESCAPE = /\x1b(?:\[([0-?]*)([ -/]*)([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])/g;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/* eslint-enable no-control-regex */

/** The line's pieces; `opening` is the look that the line before it has left behind. */
export function spansOf(text: string, opening: Style): Line {
  let end = text.length;
  while (text[end - 1] === "\r") end -= 1;
  const body = text.slice(0, end);
  const begin = body.lastIndexOf("\r") + 1;
  const style = begin ? closing(body.slice(0, begin), opening) : opening;
  const rewritten = begin ? body.slice(0, begin).split(/\r+/).length - 1 : 0;
  return { ...cut(pieces(body.slice(begin), style)), rewritten };
}

/** The look that the text leaves behind. */
export function closing(text: string, opening: Style): Style {
  let style = opening;
  if (!text.includes("\x1b")) return style;
  for (const [, params, between, final] of text.matchAll(ESCAPE)) if (final === "m" && !between) style = restyled(style, params);
  return style;
}

/** The line as it reads: what is searched and copied. */
export const plain = ({ spans }: Line): string => spans.map((span) => span.text).join("");

function pieces(text: string, opening: Style): Span[] {
  const spans: Span[] = [];
  let style = opening;
  let after = 0;
  const add = (upto: number): void => {
    if (upto <= after) return;
    const piece = text.slice(after, upto).replace(CONTROL, picture);
    const last = spans.at(-1);
    if (last && last.style === style) spans[spans.length - 1] = { text: last.text + piece, style };
    else spans.push({ text: piece, style });
  };
  for (const found of text.matchAll(ESCAPE)) {
    add(found.index);
    after = found.index + found[0].length;
    if (found[3] === "m" && !found[2]) style = restyled(style, found[1]);
  }
  add(text.length);
  return spans;
}

function cut(spans: readonly Span[]): Pick<Line, "spans" | "cut"> {
  let room = CHARS_MAX;
  let beyond = 0;
  const kept: Span[] = [];
  for (const { text, style } of spans) {
    if (room > 0) kept.push({ text: text.length > room ? text.slice(0, room) : text, style });
    beyond += Math.max(0, text.length - Math.max(0, room));
    room -= text.length;
  }
  return { spans: kept, cut: beyond };
}

function picture(char: string): string {
  const code = char.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : `‹${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}

const SWITCHES: Readonly<Record<number, Partial<Style>>> = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true }, 9: { strike: true },
  21: { underline: true }, 22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false },
  29: { strike: false }, 39: { fg: null }, 49: { bg: null },
};

/** The style after a "select graphic rendition" sequence; what it does not know leaves no trace. */
function restyled(before: Style, params: string): Style {
  if (/[<-?]/.test(params)) return before; // a terminal's private matter
  let style: Style = before;
  const codes = params.split(";");
  for (let at = 0; at < codes.length; at += 1) {
    const parts = codes[at].split(":").map(Number);
    const [code] = parts;
    if (code === 0) style = PLAIN;
    else if (code === 4 && parts[1] === 0) style = { ...style, underline: false };
    else if (code in SWITCHES) style = { ...style, ...SWITCHES[code] };
    else if (code >= 30 && code <= 37) style = { ...style, fg: code - 30 };
    else if (code >= 40 && code <= 47) style = { ...style, bg: code - 40 };
    else if (code >= 90 && code <= 97) style = { ...style, fg: code - 82 };
    else if (code >= 100 && code <= 107) style = { ...style, bg: code - 92 };
    else if (code === 38 || code === 48) {
      const isOwn = parts.length > 1;
      const rest = isOwn ? parts.slice(1) : codes.slice(at + 1, at + 5).map(Number);
      const colour = extended(rest, isOwn);
      if (!isOwn) at += rest[0] === 2 ? 4 : 2;
      if (colour !== null) style = { ...style, [code === 38 ? "fg" : "bg"]: colour };
    }
  }
  return same(style, PLAIN) ? PLAIN : style;
}

/** `5;n` or `2;r;g;b`; with colons there may be a colour space before the red. */
function extended(parts: readonly number[], hasColons: boolean): Colour {
  const [kind, ...values] = parts;
  const isByte = (value: number | undefined): value is number => value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255;
  if (kind === 5 && isByte(values[0])) return values[0];
  const rgb = hasColons && values.length > 3 ? values.slice(1, 4) : values.slice(0, 3);
  return kind === 2 && rgb.length === 3 && rgb.every(isByte) ? [rgb[0], rgb[1], rgb[2]] : null;
}

function same(one: Style, other: Style): boolean {
  return (Object.keys(PLAIN) as (keyof Style)[]).every((key) => one[key] === other[key]);
}
