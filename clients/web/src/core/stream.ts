/**
 * What the coordinator says, as it says it: a position is the whole memory of a connection.
 *
 * A new connection asks for what comes after the last position, so nothing is missed or told twice.
 * All addresses are relative to the page, which may be mounted anywhere.
 */

import type { Clock } from "./clock.ts";
import { read } from "./compact.ts";
import type { LogRecord } from "./types.ts";

// An idle stream gives a sign of life every 15 s.
const SILENCE_MS = 20_000;
const PAUSE_MS = 500;
const PAUSE_MAX_MS = 10_000;

export type LinkState = "connecting" | "live" | "reconnecting" | "ended" | "gone";

/** What is known of a connection; `retryAt` in milliseconds since 1970. */
export interface Link {
  readonly state: LinkState;
  readonly retryAt: number;
  readonly error: Refused | null;
}

export const CONNECTING: Link = { state: "connecting", retryAt: 0, error: null };

/** The coordinator said no, and why. */
export class Refused extends Error {
  constructor(readonly status: number, readonly body: Readonly<Record<string, unknown>> | null) {
    super(String(body?.reason || body?.message || `the coordinator answered ${status}`));
  }

  /** Asking again will not help. */
  get isFinal(): boolean {
    return [401, 403, 404, 410].includes(this.status);
  }
}

interface Asking {
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** GET a JSON value; `clock` hears the answer's date. Throws Refused, or TypeError when nobody answers. */
export async function getJson<T>(path: string, { signal, clock }: Asking = {}): Promise<T> {
  const answer = await get(path, signal);
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (clock && !Number.isNaN(date)) clock.hear(date / 1000);
  return (await answer.json()) as T;
}

async function get(path: string, signal?: AbortSignal, method = "GET"): Promise<Response> {
  const answer = await fetch(path, { method, cache: "no-store", ...(signal && { signal }) });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
  return answer;
}

/** All records of a stream up to a position, in handfuls as they arrive. */
export async function* recordsUpto(path: string, position: number, signal: AbortSignal): AsyncGenerator<readonly LogRecord[]> {
  const answer = await get(`${path}?form=compact&upto=${position}`, signal);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line) yield read(line).records;
    if (done) return;
  }
}

export interface Following {
  /** Fetch the present state; returns its position, or null when nothing will follow it. */
  load(): Promise<number | null>;
  /** After a failure: is there still something to follow? Without it the state is loaded anew. */
  check?(): Promise<void>;
  /** The stream's address, without `after`; further parameters may follow a `?`. */
  readonly path: string;
  /** Returns the position come to, or null after the last record; when it throws, the state is loaded anew. */
  take(records: readonly LogRecord[]): number | null;
  link(state: LinkState, retryAt?: number, error?: Refused): void;
  readonly signal: AbortSignal;
}

/** Is there anything at this address? Throws like `getJson`. */
export async function probe(path: string, signal: AbortSignal): Promise<void> {
  await get(path, signal, "HEAD");
}

/** Follow a stream of records until it ends, over any number of connections. */
export async function follow({ load, check, path, take, link, signal }: Following): Promise<void> {
  let position: number | null | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (position === undefined || (failures && !check)) position = await load();
      else if (failures) await check?.(); // a refused socket does not say why; a plain request does
      if (position !== null) position = await listen(path, position, take, () => (failures = 0), link, signal);
      if (position === null) return link("ended");
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.isFinal) return link("gone", 0, error);
      position = error instanceof Broken ? error.position : error instanceof TypeError || error instanceof Refused ? position : undefined;
      if (error instanceof Broken && error.wasHeard) failures = 0;
    }
    const pause = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    link("reconnecting", Date.now() + pause);
    await sleep(pause, signal);
  }
}

/** A connection ended before the stream did. */
class Broken extends Error {
  constructor(readonly position: number, readonly wasHeard: boolean) {
    super("the connection ended");
  }
}

/** One connection's worth; null after the last record. Throws `Broken`, or what `take` throws. */
function listen(
  path: string, start: number, take: Following["take"], heard: () => void, link: Following["link"], signal: AbortSignal,
): Promise<null> {
  return new Promise((resolve, reject) => {
    let position = start;
    let wasHeard = false;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let command: LogRecord[] = []; // as much as there is of one that is told in parts
    const url = new URL(path, document.baseURI);
    url.searchParams.set("form", "compact");
    url.searchParams.set("after", String(start));
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    const leave = (settle: () => void): void => {
      clearTimeout(silence);
      signal.removeEventListener("abort", onEnd);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      settle();
    };
    const onEnd = (): void => leave(() => reject(new Broken(position, wasHeard)));
    const onSign = (): void => {
      clearTimeout(silence);
      silence = setTimeout(onEnd, SILENCE_MS);
    };
    onSign();
    signal.addEventListener("abort", onEnd);
    socket.onclose = onEnd;
    socket.onopen = () => {
      onSign();
      link("live");
    };
    socket.onmessage = ({ data }) => {
      onSign();
      try {
        const { records: told, more } = read(String(data));
        wasHeard = true;
        heard();
        command = command.length ? [...command, ...told] : [...told];
        if (more) return;
        const records = command;
        command = [];
        const upto = records.length ? take(records) : position;
        if (upto === null) leave(() => resolve(null));
        else position = upto;
      } catch (error) {
        leave(() => reject(error));
      }
    };
  });
}

/** Wait; less if the page is left, or the network is back. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(wake, ms);
    function wake(): void {
      clearTimeout(timer);
      window.removeEventListener("online", wake);
      signal.removeEventListener("abort", wake);
      resolve();
    }
    window.addEventListener("online", wake);
    signal.addEventListener("abort", wake);
  });
}
