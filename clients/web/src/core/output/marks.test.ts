import { expect, it } from "vitest";
import { PLAIN, spansOf } from "./ansi.ts";
import { pieces } from "./marks.ts";

it.each([
  ["no match here", "xyz", ["no match here"]],
  ["error: an error", "error", ["[error]", ": an ", "[error]"]],
  ["\x1b[1merr\x1b[31mor\x1b[0m: no", "Error", ["[err]", "[or]", ": no"]],
  ["aaa", "a", ["[a]", "[a]", "[a]"]],
])("marks what was searched for, over colours too: %j", (text, wanted, expected) => {
  const shown = pieces(spansOf(text, PLAIN), wanted).map(({ text, isFound }) => (isFound ? `[${text}]` : text));
  expect(shown).toEqual(expected);
});
