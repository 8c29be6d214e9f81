/**
 * The coordinator's time, in seconds since 1970, for durations that tick.
 *
 * Every time that it tells lies in its past, so the least difference ever seen is the best guess.
 */
export class Clock {
  private lag = Infinity;
  private frozen: number | null = null;
  private pinned: number | null = null;

  constructor(private readonly here: () => number = () => Date.now() / 1000) {}

  hear(at: number): void {
    this.lag = Math.min(this.lag, this.here() - at);
  }

  now(): number {
    return this.pinned ?? this.frozen ?? this.here() - (Number.isFinite(this.lag) ? this.lag : 0);
  }

  /** What is looked at is over: it is this time for ever. */
  pin(at: number): void {
    this.pinned = at;
  }

  /** While nothing is heard nothing may seem to go on. */
  freeze(isFrozen: boolean): void {
    this.frozen = isFrozen ? this.now() : null;
  }
}
