/** Lines that an address names: `123` or `123-140`, from 1 on. */

export interface Range {
  readonly first: number;
  readonly last: number;
}

export function parseRange(text: string | undefined): Range | null {
  const [, one, other] = /^([1-9]\d{0,14})(?:-([1-9]\d{0,14}))?$/.exec(text ?? "") ?? [];
  if (one === undefined) return null;
  const [first, last] = [Number(one), Number(other ?? one)];
  return { first: Math.min(first, last), last: Math.max(first, last) };
}

export function formatRange({ first, last }: Range): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** The range from where it began to a line, as Shift and a click have it. */
export function stretched(range: Range | null, anchor: number | null, line: number): Range {
  const from = anchor ?? range?.first ?? line;
  return { first: Math.min(from, line), last: Math.max(from, line) };
}
