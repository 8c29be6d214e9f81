/** What a page shows that no record tells: asked for anew soon after a record says that something happened. */

import { app } from "../app.svelte.ts";
import { follow } from "../core/stream.ts";

// A page that nobody sees waits so many times longer.
const UNSEEN = 10;

export interface Again {
  /** Ask for it; returns the position that the answer is of. */
  refresh(): Promise<number>;
  /** The stream of the records after which it may be different. */
  readonly path: string;
  readonly milliseconds: number;
  readonly signal: AbortSignal;
}

/** Ask, and again after news, until `signal`; returns what asks for once more, soon. */
export function again({ refresh, path, milliseconds, signal }: Again): () => void {
  let isDue = false;
  const soon = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      if (!signal.aborted) refresh().catch(() => {}); // the stream breaks too, and tells
    }, document.hidden ? UNSEEN * milliseconds : milliseconds);
  };
  void follow({
    load: refresh,
    path,
    take: (records) => {
      if (records.some((record) => record.type !== "Progress")) soon();
      return records.at(-1)!.position;
    },
    link: (state, retryAt = 0, error) => {
      app.clock.freeze(state === "reconnecting");
      app.link = { state, retryAt, error: error ?? null };
    },
    signal,
  });
  return soon;
}
