/** A line in the pieces that are drawn: each of one look, inside or outside what was searched for. */

import { plain, type Line, type Style } from "./ansi.ts";
import { occurrences } from "./finder.ts";

export interface Piece {
  readonly text: string;
  readonly style: Style;
  readonly isFound: boolean;
}

export function pieces(line: Line, wanted: string): Piece[] {
  const found = wanted ? occurrences(plain(line), wanted) : [];
  if (!found.length) return line.spans.map((span) => ({ ...span, isFound: false }));
  const cut: Piece[] = [];
  const edges = found.flat();
  let begin = 0;
  for (const { text, style } of line.spans) {
    const end = begin + text.length;
    const inside = new Set(edges.filter((edge) => edge > begin && edge < end));
    let from = begin;
    for (const upto of [...inside, end]) {
      // An even number of edges before it: it is outside.
      const isFound = edges.filter((edge) => edge <= from).length % 2 === 1;
      cut.push({ text: text.slice(from - begin, upto - begin), style, isFound });
      from = upto;
    }
    begin = end;
  }
  return cut;
}
