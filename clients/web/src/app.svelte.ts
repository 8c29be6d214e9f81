/** What every page shares: the address, the coordinator's tables and clock, its workers, the connection. */

import { Clock } from "./core/clock.ts";
import { Farm } from "./core/farm.ts";
import { changed, format, parse, type Changes, type Route } from "./core/route.ts";
import { CONNECTING, getJson, sleep, type Link } from "./core/stream.ts";
import type { Tables, WorkerView } from "./core/types.ts";

const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;
// Browsers refuse to change the address too often.
const SETTLE_MS = 250;

export class App {
  route: Route = $state.raw(parse(location.hash));
  tables: Tables | null = $state.raw(null);
  /** Of the page that is shown. */
  link: Link = $state.raw(CONNECTING);
  /** Raised when the workers were asked for again, and every second while something runs. */
  beat = $state(0);
  title = $state("");
  icon = $state("");
  /** For those who listen: a sentence now and then. */
  said = $state("");
  readonly clock = new Clock();
  readonly farm = new Farm();
  private settling: ReturnType<typeof setTimeout> | undefined;
  private saidAt = 0;

  /** Other parameters for the same page, without a step for the back button. */
  go(changes: Changes): void {
    this.route = changed(this.route, changes);
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLE_MS);
  }

  /** The address of the shown page with other parameters, for links. */
  href(changes: Changes): string {
    return format(changed(this.route, changes));
  }

  /** Write the parameters into the address now. */
  settle(): void {
    clearTimeout(this.settling);
    this.settling = undefined;
    if (format(this.route) !== location.hash) history.replaceState(null, "", format(this.route));
  }

  /** The address was changed, by a link or by hand. */
  onHashChange(): void {
    const { hash } = location;
    if (hash && !hash.startsWith("#/")) return; // a place in the page
    clearTimeout(this.settling);
    this.settling = undefined;
    this.route = parse(hash);
  }

  /** At most a sentence every few seconds, unless it must be said. */
  say(text: string, isUrgent = false): void {
    if (!text || (!isUrgent && Date.now() - this.saidAt < 5000)) return;
    this.saidAt = Date.now();
    this.said = text;
  }

  /** Ask until the coordinator has told its tables. */
  async start(signal: AbortSignal): Promise<void> {
    for (let pause = RETRY_MS; this.tables === null && !signal.aborted; pause = Math.min(RETRY_MAX_MS, pause * 2)) {
      try {
        this.tables = await getJson<Tables>("api/transitions", { signal });
      } catch {
        this.link = { state: "reconnecting", retryAt: Date.now() + pause, error: null };
        await sleep(pause, signal);
      }
    }
  }

  async refreshFarm(signal?: AbortSignal): Promise<void> {
    try {
      const { workers } = await getJson<{ workers: WorkerView[] }>("api/workers", signal ? { signal } : {});
      this.farm.set(workers);
    } catch (error) {
      if (!(error instanceof TypeError || signal?.aborted)) throw error; // the stream tells of outages
    }
    this.beat += 1;
  }
}

export const app = new App();
