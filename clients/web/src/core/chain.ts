/** Is a log what was written? Each record's hash covers its text and the hash of the record before it. */

const CHAINED = /,"chain":"([0-9a-f]{64})"\}$/;
const GENESIS = "0".repeat(64);

/** Checks line after line of `GET api/log`. */
export class Chain {
  /** How many records were right. */
  count = 0;
  /** The position of the first record that is not; null while all are. */
  broken: number | null = null;
  private previous: string | null;

  /** From the log's first record on; or else the first line is believed, and the rest is held against it. */
  constructor(isWhole: boolean) {
    this.previous = isWhole ? GENESIS : null;
  }

  /** False once something is wrong. */
  async take(line: string): Promise<boolean> {
    const found = CHAINED.exec(line);
    const text = found ? `${line.slice(0, found.index)}}` : line;
    const isRight = found !== null && (this.previous === null || (await link(this.previous, text)) === found[1]);
    if (!isRight) this.broken = Number(/^\{"position":(\d+)/.exec(line)?.[1] ?? 0);
    else [this.previous, this.count] = [found[1], this.count + 1];
    return isRight;
  }
}

/** SHA-256 over the hash before it and the record's text. */
async function link(previous: string, text: string): Promise<string> {
  const body = new TextEncoder().encode(text);
  const bytes = new Uint8Array(32 + body.length);
  for (let at = 0; at < 32; at += 1) bytes[at] = parseInt(previous.slice(2 * at, 2 * at + 2), 16);
  bytes.set(body, 32);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
