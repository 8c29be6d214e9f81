/** The page's own mark, which wears the icon of a build's state where tabs are told apart by it. */

const BARE = "./mark.svg";
const PLAIN = "#5a6472";
// White on these is read at the size of a tab's icon; the glyph tells the same without colour.
const COLOURS: Readonly<Record<string, string>> = { "✓": "#1a7f37", "✗": "#c2262e", "◐": "#0a66c2" };

/** The address of the mark; `icon` is that of a state, or nothing. */
export function mark(icon: string): string {
  if (!icon) return BARE;
  const drawn =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="${COLOURS[icon] ?? PLAIN}"/>` +
    `<text x="16" y="23" font-family="sans-serif" font-size="20" text-anchor="middle" fill="#fff">${icon}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawn)}`;
}
