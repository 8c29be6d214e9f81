/** What a job prints: the tail at first, then every byte as it comes, as inert text. */

import { byId, coalesce, make, setText } from "./dom.js";
import { followOutput } from "./stream.js";

const TAIL_BYTES = 64 << 10;
const CHARS_MAX = 400_000;
const PART_CHARS = 8_000;
// Colours, titles, links and cursor moves of terminals; the second is what a chunk may end in the midst of.
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>78])/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,2000}\x1b?)?$/;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

export class Output {
  #key = null;
  #abort = null;
  #streams = {};
  #pending = [];
  #chars = 0;

  constructor(signal) {
    this.box = byId("output");
    this.flush = coalesce(() => this.#flush());
    signal.addEventListener("abort", () => this.stop());
  }

  /** Show this job's output; each attempt prints anew. Cheap when it is shown already. */
  show(job, path) {
    const key = `${path} ${job.lease}`;
    this.job = job;
    if (key !== this.#key) this.#clear(key, job);
    if (!this.#abort) this.#follow(path);
    this.#say();
  }

  /** Rest for a while; `show` goes on where this stopped. */
  stop() {
    this.#abort?.abort();
    this.#abort = null;
  }

  #clear(key, job) {
    this.stop();
    this.#key = key;
    this.#pending = [];
    this.#chars = 0;
    this.box.replaceChildren();
    byId("panel").scrollTop = 0;
    byId("output-cut").hidden = true;
    this.#streams = {};
    for (const stream of ["stdout", "stderr"]) {
      const offset = Math.max(0, job[`${stream}_bytes`] - TAIL_BYTES);
      if (offset) byId("output-cut").hidden = false;
      this.#streams[stream] = { offset, decoder: new TextDecoder(), rest: "", isComplete: false };
    }
  }

  async #follow(path) {
    const abort = (this.#abort = new AbortController());
    if (!this.job.lease) return; // nothing ran yet
    const isOver = () => this.job.ended_at !== null;
    const streams = Object.entries(this.#streams).filter(([, stream]) => !stream.isComplete);
    for (const [name, stream] of streams) {
      const add = (bytes) => this.#add(name, stream, bytes);
      const following = followOutput({ url: `${path}?stream=${name}`, offset: stream.offset, add, isOver, signal: abort.signal })
        .then(() => {
          stream.isComplete = !abort.signal.aborted;
          this.#say();
        });
      if (isOver()) await following; // when it came is no longer known, so one stream after the other
      if (abort.signal.aborted) return;
    }
  }

  #add(name, stream, bytes) {
    stream.offset += bytes.length;
    this.#pending.push([name, this.#clean(stream, bytes)]);
    this.flush();
  }

  #clean(stream, bytes) {
    const text = stream.rest + stream.decoder.decode(bytes, { stream: true });
    const whole = text.replace(UNFINISHED, "");
    stream.rest = text.slice(whole.length);
    return whole.replace(ESCAPES, "").replace(/\r+\n/g, "\n").replace(/\r/g, "\n").replace(CONTROLS, "·");
  }

  #flush() {
    const { box } = this;
    const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 32;
    for (const [stream, text] of this.#pending.splice(0)) this.#append(stream, text);
    while (this.#chars > CHARS_MAX && box.childElementCount > 1) {
      this.#chars -= box.firstChild.textContent.length;
      box.firstChild.remove();
      byId("output-cut").hidden = false;
    }
    if (follows) box.scrollTop = box.scrollHeight;
    this.#say();
  }

  #append(stream, text) {
    if (!text) return;
    const last = this.box.lastChild;
    this.#chars += text.length;
    if (last?.className === stream && last.textContent.length < PART_CHARS) last.firstChild.appendData(text);
    else {
      if (last && last.className !== stream && !last.textContent.endsWith("\n")) last.firstChild.appendData("\n");
      this.box.append(make("span", { class: stream }, text));
    }
  }

  #say() {
    const { job } = this;
    const isComplete = Object.values(this.#streams).every((stream) => stream.isComplete);
    const isEmpty = !this.#chars && !this.#pending.length;
    this.box.hidden = isEmpty;
    setText(byId("output-state"), !job.lease ? "It has not run yet." : isComplete ? (isEmpty ? "It printed nothing." : "") :
      isEmpty ? "Nothing printed yet." : "…");
  }
}
