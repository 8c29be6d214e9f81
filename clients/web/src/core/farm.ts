/** The workers, as the coordinator sees them now. */

import { many, seen } from "./words.ts";
import type { WorkerView } from "./types.ts";

/** What a worker runs, as far as it has slots for it, and what it was given ahead: it asks for more while jobs are short. */
export const taken = ({ leases, slots }: WorkerView): { running: number; ahead: number } => ({
  running: Math.min(leases.length, slots),
  ahead: Math.max(0, leases.length - slots),
});

export class Farm {
  private byId = new Map<string, WorkerView>();

  set(workers: readonly WorkerView[]): void {
    this.byId = new Map(workers.map((worker) => [worker.id, worker]));
  }

  get all(): WorkerView[] {
    return [...this.byId.values()];
  }

  get alive(): WorkerView[] {
    return this.all.filter((worker) => worker.state !== "lost");
  }

  get(id: string): WorkerView | undefined {
    return this.byId.get(id);
  }

  /** What people call the worker. */
  name(id: string): string {
    return seen(this.byId.get(id)?.labels.name ?? id.replace(/^https?:\/\//, "").replace(/\/$/, ""));
  }

  /** Why a queued job has no worker yet. */
  shortage(): string {
    const { alive } = this;
    if (!alive.length) return "no worker is there";
    const slots = alive.reduce((sum, worker) => sum + worker.slots, 0);
    const free = alive.reduce((sum, worker) => sum + Math.max(0, worker.slots_free), 0);
    return free ? "waits for a worker" : `waits for a slot: ${slots} of ${slots} are busy`;
  }

  summary(): string {
    const { alive } = this;
    const busy = alive.reduce((sum, worker) => sum + taken(worker).running, 0);
    const lost = this.byId.size - alive.length;
    return `${many(alive.length, "worker")}${busy ? `, ${many(busy, "job")} running` : ""}${lost ? `, ${lost} lost` : ""}`;
  }
}
