/** The stretch of time that is in sight, and its axis. Times in seconds since 1970 unless they are said to be the build's. */

export interface Span {
  readonly from: number;
  readonly upto: number;
}

const LEAST_SECONDS = 0.02;

/** Closer by `factor` (or farther, below 1) around a time that stays where it is; never beyond `whole`. */
export function zoomed(span: Span, factor: number, around: number, whole: Span): Span {
  const seconds = Math.max(LEAST_SECONDS, (span.upto - span.from) / factor);
  if (seconds >= whole.upto - whole.from) return whole;
  const share = (around - span.from) / (span.upto - span.from);
  return within(around - share * seconds, seconds, whole);
}

/** Later by so many seconds, or earlier; by Infinity to the end. */
export const moved = ({ from, upto }: Span, seconds: number, whole: Span): Span => within(from + seconds, upto - from, whole);

function within(from: number, seconds: number, whole: Span): Span {
  if (seconds >= whole.upto - whole.from) return whole;
  const start = Math.min(Math.max(from, whole.from), whole.upto - seconds);
  return { from: start, upto: start + seconds };
}

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

/** Even times of the build to mark, in its own seconds, none nearer than `least` seconds to the next. */
export function ticks({ from, upto }: Span, start: number, least: number): { readonly step: number; readonly at: number[] } {
  const step = STEPS.find((each) => each >= least) ?? Math.ceil(least / 86400) * 86400;
  const first = Math.max(0, Math.ceil((from - start) / step - 1e-9));
  const last = Math.floor((upto - start) / step + 1e-9);
  return { step, at: Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step) };
}

/** A time of the build on its axis: `0`, `1.5s`, `2:05`, `1:00:00`, as exact as the step is. */
export function tickWords(seconds: number, step: number): string {
  if (Math.abs(seconds) < step / 2) return "0";
  const digits = step >= 1 ? 0 : Math.ceil(-Math.log10(step) - 1e-9);
  if (seconds < 60) return `${seconds.toFixed(digits)}s`;
  const exact = Math.round(seconds * 10 ** digits) / 10 ** digits;
  const [hours, minutes] = [Math.floor(exact / 3600), Math.floor(exact / 60) % 60];
  const rest = (exact % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** The build's whole time, with room for what is to come, so that what is there stands still while it grows. */
export function roomy(start: number, end: number, isOver: boolean): Span {
  const seconds = Math.max(end - start, 0.1);
  if (isOver) return { from: start, upto: start + seconds * 1.01 };
  const step = 2 ** Math.ceil(Math.log2(seconds)) / 8;
  return { from: start, upto: start + (Math.floor(seconds / step) + 1) * step };
}
