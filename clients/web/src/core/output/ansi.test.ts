import { describe, expect, it } from "vitest";
import { CHARS_MAX, closing, plain, PLAIN, spansOf, type Style } from "./ansi.ts";

const spans = (text: string, opening: Style = PLAIN): [string, Partial<Style>][] =>
  spansOf(text, opening).spans.map(({ text, style }) => [text, Object.fromEntries(Object.entries(style).filter(([, value]) => value !== null && value !== false))]);
const shown = (text: string): string => plain(spansOf(text, PLAIN));

describe("colours", () => {
  it.each([
    ["\x1b[31mred\x1b[0m plain", [["red", { fg: 1 }], [" plain", {}]]],
    ["\x1b[1;32;44mx\x1b[39my\x1b[49;22mz", [["x", { bold: true, fg: 2, bg: 4 }], ["y", { bold: true, bg: 4 }], ["z", {}]]],
    ["\x1b[97mx\x1b[mn", [["x", { fg: 15 }], ["n", {}]]],
    ["\x1b[38;5;208mx\x1b[48;5;17my", [["x", { fg: 208 }], ["y", { fg: 208, bg: 17 }]]],
    ["\x1b[38;2;1;2;3;1mx", [["x", { fg: [1, 2, 3], bold: true }]]],
    ["\x1b[38:2::1:2:3mx\x1b[38:2:4:5:6my\x1b[38:5:7mz", [["x", { fg: [1, 2, 3] }], ["y", { fg: [4, 5, 6] }], ["z", { fg: 7 }]]],
    ["\x1b[4:3mcurly\x1b[4:0mnone", [["curly", { underline: true }], ["none", {}]]],
    ["\x1b[7mi\x1b[27;9ms\x1b[29;2md\x1b[22;3mi", [["i", { inverse: true }], ["s", { strike: true }], ["d", { dim: true }], ["i", { italic: true }]]],
    ["\x1b[38;5;999mx\x1b[38;2;1mymore", [["xymore", {}]]],
    ["\x1b[99999999999999999999mx", [["x", {}]]],
    ["\x1b[?25;1mx\x1b[>4;1my", [["xy", {}]]],
  ])("%j", (text, expected) => {
    expect(spans(text)).toEqual(expected);
  });

  it("go on from line to line until they are taken back", () => {
    const style = closing("\x1b[1;33mbegin", PLAIN);
    expect(spans("middle", style)).toEqual([["middle", { bold: true, fg: 3 }]]);
    expect(closing("mid\x1b[0m", style)).toBe(PLAIN);
  });
});

describe("what is not text", () => {
  it.each([
    ["\x1b]0;title\x07after", "after"],
    ["\x1b]8;;http://evil/\x1b\\link\x1b]8;;\x1b\\", "link"],
    ["\x1b]52;c;ZXZpbA==\x07x", "x"],
    ["\x1bP+q544e\x1b\\x\x1b_apc\x1b\\y\x1b^pm\x07z", "xyz"],
    ["\x1b[2J\x1b[10A\x1b[Hx\x1b[6n\x1b[?1049h\x1b(B\x1bc\x1b7", "x"],
    ["a\x00b\x07c\x08d\x7fe\x9bf", "a␀b␇c␈d␡e‹009B›f"],
    ["\u202eevil\u202c \u2066x\u2069", "‹202E›evil‹202C› ‹2066›x‹2069›"],
    ["\x1b]0;never ends", "␛]0;never ends"],
    ["ends in \x1b[3", "ends in ␛[3"],
    ["<script>alert(1)</script>&amp;", "<script>alert(1)</script>&amp;"],
    ["a\tb", "a\tb"],
  ])("is dropped or shown as it is: %j", (text, expected) => {
    expect(shown(text)).toBe(expected);
  });

  it("takes linear time", () => {
    for (const piece of ["\x1b[0", "\x1b]", "\x1b", "\x1b[;", "\r", "\x1bP\x1b"]) expect(shown(`${piece.repeat(200_000)}x`).length).toBeGreaterThan(0);
  });
});

it("shows what stands there after the last carriage return, and says how often it was begun", () => {
  expect(spansOf("10%\r50%\r\x1b[32m100%\r\r", PLAIN)).toMatchObject({ rewritten: 2, spans: [{ text: "100%", style: { fg: 2 } }] });
  expect(spansOf("\x1b[31m1%\r2%", PLAIN)).toMatchObject({ rewritten: 1, spans: [{ text: "2%", style: { fg: 1 } }] });
  expect(spansOf("dos\r", PLAIN)).toMatchObject({ rewritten: 0, spans: [{ text: "dos" }] });
});

it("shows so many characters of a long line, and says how many are beyond", () => {
  const line = spansOf(`\x1b[31m${"x".repeat(CHARS_MAX - 1)}\x1b[32myz${"!".repeat(9)}\x1b[0mmore`, PLAIN);
  expect(plain(line)).toBe(`${"x".repeat(CHARS_MAX - 1)}y`);
  expect(line.cut).toBe(14);
});
