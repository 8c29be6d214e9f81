/**
 * Where a scroll bar stands for a place in a list that may be higher than browsers can make anything.
 *
 * Near both ends a pixel is a pixel, so that the first and last lines are reached as everywhere; in between the bar
 * is compressed.
 */

// Firefox ends at 17.8 million pixels, Chromium at 33.5.
export const HEIGHT_MAX = 8_000_000;
const EDGE = 100_000;

export class Scale {
  /** What the scroll bar sees. */
  readonly height: number;

  /** `real`: the height of all rows, in pixels. */
  constructor(readonly real: number) {
    this.height = Math.min(real, HEIGHT_MAX);
  }

  toReal(bar: number): number {
    if (this.real === this.height || bar <= EDGE) return bar;
    if (bar >= this.height - EDGE) return this.real - (this.height - bar);
    return EDGE + ((bar - EDGE) * (this.real - 2 * EDGE)) / (this.height - 2 * EDGE);
  }

  toBar(real: number): number {
    if (this.real === this.height || real <= EDGE) return real;
    if (real >= this.real - EDGE) return this.height - (this.real - real);
    return EDGE + ((real - EDGE) * (this.height - 2 * EDGE)) / (this.real - 2 * EDGE);
  }
}
