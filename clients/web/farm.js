/** The workers, as the coordinator sees them now. */

import { make, setAttribute, setText } from "./dom.js";
import { count, many } from "./words.js";

const SLOTS_SHOWN = 12;
const WORKERS_SHOWN = 24;

export class Farm {
  #workers = new Map();

  set(workers) {
    this.#workers = new Map(workers.map((worker) => [worker.id, worker]));
  }

  get #alive() {
    return [...this.#workers.values()].filter((worker) => worker.state !== "lost");
  }

  /** What people call the worker. */
  name(id) {
    return this.#workers.get(id)?.labels.name ?? id.replace(/^https?:\/\//, "").replace(/\/$/, "");
  }

  /** Why a queued job has no worker yet. */
  shortage() {
    const alive = this.#alive;
    if (!alive.length) return "no worker is there";
    const slots = alive.reduce((sum, worker) => sum + worker.slots, 0);
    const free = alive.reduce((sum, worker) => sum + Math.max(0, worker.slots_free), 0);
    return free ? "waits for a worker" : `waits for a slot: ${slots} of ${slots} are busy`;
  }

  summary() {
    const alive = this.#alive;
    const busy = alive.reduce((sum, worker) => sum + worker.leases.length, 0);
    const lost = this.#workers.size - alive.length;
    return `${many(alive.length, "worker")}${busy ? `, ${many(busy, "job")} running` : ""}${lost ? `, ${lost} lost` : ""}`;
  }

  /** A line for each worker that is there or was seen in the build; `seen`: jobs ended, by worker id. */
  show(list, seen) {
    const known = new Set([...this.#alive.map((worker) => worker.id), ...seen.keys()]);
    const ids = [...known].sort((a, b) => this.name(a).localeCompare(this.name(b))).slice(0, WORKERS_SHOWN);
    while (list.children.length > ids.length) list.lastChild.remove();
    ids.forEach((id, index) => {
      const worker = this.#workers.get(id);
      const item = list.children[index] ?? list.appendChild(make("li", {}, make("bdi"), make("i"), make("span")));
      const [name, slots, text] = item.children;
      const busy = worker?.leases.length ?? 0;
      const done = seen.get(id) ?? 0;
      setText(name, this.name(id));
      const state = worker?.state ?? "lost";
      const hasRoom = state !== "lost" && worker.slots <= SLOTS_SHOWN;
      setText(slots, hasRoom ? "▮".repeat(busy) + "▯".repeat(Math.max(0, worker.slots - busy)) : "");
      setAttribute(slots, "aria-hidden", "true");
      setText(text, state === "lost" ? `⁇ lost · ${count(done)} done` :
        `${busy} of ${worker.slots} busy · ${count(done)} done${state === "draining" ? " · draining" : ""}`);
      setAttribute(item, "data-state", state);
      setAttribute(item, "title", id);
    });
  }
}
