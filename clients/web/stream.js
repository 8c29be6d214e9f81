/**
 * What the coordinator says, as it says it: a position is the whole memory of a connection.
 *
 * A new connection asks for what comes after the last position, so nothing is missed or told twice.
 * All addresses are relative to the page, which may be mounted anywhere.
 */

// An idle stream gives a sign of life every 15 s.
const SILENCE_MS = 20_000;
const PAUSE_MS = 500;
const PAUSE_MAX_MS = 10_000;

export class Refused extends Error {
  constructor(status, body) {
    super(body?.reason || body?.message || `the coordinator answered ${status}`);
    this.status = status;
    this.isFinal = status === 404 || status === 410;
  }
}

/** GET a JSON value; `clock` hears the answer's date. Throws Refused, or TypeError when nobody answers. */
export async function getJson(path, { signal, clock } = {}) {
  const answer = await fetch(path, { signal, cache: "no-store" });
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (clock && !Number.isNaN(date)) clock.hear(date / 1000);
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
  return answer.json();
}

/** Is there anything at this address? Throws like `getJson`. */
export async function probe(path, signal) {
  const answer = await fetch(path, { method: "HEAD", signal, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status);
}

/**
 * Follow a stream of records until it ends, over any number of connections.
 *
 * `load` fetches the present state and returns its position, or null when nothing will follow it; it is
 * asked again when `take` throws. `check` tells, after a failure, whether there is still something to follow;
 * without it the state is loaded anew, since what came meanwhile may be archived. `take(records)` returns the position it has come to, or null after the
 * last record. `link(state, retryAt, error)` hears connecting, live, reconnecting, ended and gone.
 */
export async function follow({ load, check, path, take, link, signal }) {
  let position;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (position === undefined || (failures && !check)) position = await load();
      else if (failures) await check(); // a refused socket does not say why; a plain request does
      if (position !== null) await listen();
      if (position === null) return link("ended");
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error.isFinal) return link("gone", 0, error);
      if (!(error instanceof Refused || error instanceof TypeError)) position = undefined;
    }
    const pause = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    link("reconnecting", Date.now() + pause);
    await sleep(pause, signal);
  }
  return undefined;

  function listen() {
    return new Promise((resolve, reject) => {
      const url = new URL(path(position), document.baseURI);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(url);
      let silence;
      const finish = (error) => {
        clearTimeout(silence);
        signal.removeEventListener("abort", finish);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        if (error instanceof Error) reject(error);
        else resolve();
      };
      const alive = () => {
        clearTimeout(silence);
        silence = setTimeout(finish, SILENCE_MS);
      };
      alive();
      signal.addEventListener("abort", finish);
      socket.onclose = finish;
      socket.onopen = () => {
        alive();
        link("live");
      };
      socket.onmessage = ({ data }) => {
        alive();
        try {
          const records = data.split("\n").filter(Boolean).map((line) => JSON.parse(line));
          if (records.length) position = take(records);
          failures = 0;
          if (position === null) finish();
        } catch (error) {
          finish(error);
        }
      };
    });
  }
}

/**
 * The bytes of one output stream from `offset` on, until the job has ended and all of it is here.
 *
 * `add(bytes)` hears every byte once; `isOver()` says whether the job has ended.
 */
export async function followOutput({ url, offset, add, isOver, signal }) {
  let pause = PAUSE_MS;
  while (!signal.aborted) {
    try {
      const answer = await fetch(`${url}&from=${offset}&follow=1`, { signal, cache: "no-store" });
      if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
      const reader = answer.body.getReader();
      for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
        if (signal.aborted) return; // somebody else may already go on from here
        offset += value.length;
        pause = PAUSE_MS;
        add(value);
      }
      if (isOver()) return;
    } catch (error) {
      if (signal.aborted || error.isFinal) return;
    }
    await sleep(pause, signal);
    pause = Math.min(PAUSE_MAX_MS, pause * 2);
  }
}

/** Wait; less if the page is left, or the network is back. */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(wake, ms);
    function wake() {
      clearTimeout(timer);
      window.removeEventListener("online", wake);
      signal.removeEventListener("abort", wake);
      resolve();
    }
    window.addEventListener("online", wake);
    signal.addEventListener("abort", wake);
  });
}
