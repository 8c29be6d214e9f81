/** Bytes of a terminal program as plain text: no escape sequence is ever obeyed. */

// Colours, titles, links and cursor moves of terminals; the second is what a chunk may end in the midst of.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,2000}\x1b?)?$/;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Cleans chunk after chunk of one stream; characters and escapes may be split between chunks. */
export class Cleaner {
  private readonly decoder = new TextDecoder();
  private rest = "";

  clean(bytes: Uint8Array): string {
    const text = this.rest + this.decoder.decode(bytes, { stream: true });
    const whole = text.replace(UNFINISHED, "");
    this.rest = text.slice(whole.length);
    return whole.replace(ESCAPES, "").replace(/\r+\n/g, "\n").replace(/\r/g, "\n").replace(CONTROLS, "·");
  }
}
