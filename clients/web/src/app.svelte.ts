/** What every page shares: the address, the coordinator's tables and clock, its workers, the connection. */

import { Clock } from "./core/clock.ts";
import { Farm } from "./core/farm.ts";
import { changed, format, parse, type Changes, type Route } from "./core/route.ts";
import { CONNECTING, getJson, Refused, sleep, type Link } from "./core/stream.ts";
import type { Status, Tables, WorkerView } from "./core/types.ts";

const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;
// Browsers refuse to change the address too often.
const SETTLE_MS = 250;

export class App {
  route: Route = $state.raw(parse(location.hash));
  tables: Tables | null = $state.raw(null);
  /** Why nothing can be changed now; empty if it can. */
  readOnly = $state("");
  /** The file that is only looked at, if it is no coordinator that answers. */
  log: string | null = $state(null);
  /** Of the page that is shown. */
  link: Link = $state.raw(CONNECTING);
  /** Raised when the workers were asked for again, and every second while something runs. */
  beat = $state(0);
  title = $state("");
  icon = $state("");
  /** For those who listen: a sentence now and then. */
  said = $state("");
  readonly clock = new Clock();
  private readonly workers = new Farm();
  private told = $state(0);
  private settling: ReturnType<typeof setTimeout> | undefined;
  private saidAt = 0;

  /** The workers as the coordinator last told them; who reads this is drawn anew when it tells them again. */
  get farm(): Farm {
    void this.told;
    return this.workers;
  }

  hear(workers: readonly WorkerView[]): void {
    this.workers.set(workers);
    this.told += 1;
  }

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
        await this.refreshStatus(signal);
        this.tables = await getJson<Tables>("api/transitions", { signal });
      } catch {
        this.link = { state: "reconnecting", retryAt: Date.now() + pause, error: null };
        await sleep(pause, signal);
      }
    }
  }

  /** Ask again for what no stream tells: the workers' slots, and whether anything can be changed. */
  async refresh(signal?: AbortSignal): Promise<void> {
    try {
      const [{ workers }] = await Promise.all([
        getJson<{ workers: WorkerView[] }>("api/workers", signal ? { signal } : {}), this.refreshStatus(signal)]);
      this.hear(workers);
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof Refused || signal?.aborted)) throw error; // the stream tells of outages
    }
    this.beat += 1;
  }

  private async refreshStatus(signal?: AbortSignal): Promise<void> {
    const status = await getJson<Status>("api/status", signal ? { signal } : {});
    [this.readOnly, this.log] = [status.read_only, status.log];
    if (status.log !== null) this.clock.pin(status.at);
  }
}

export const app = new App();
