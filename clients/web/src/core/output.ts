/** The bytes that a job prints, as they come. */

import { Refused, sleep } from "./stream.ts";

const PAUSE_MS = 500;
const PAUSE_MAX_MS = 10_000;

export interface FollowingOutput {
  readonly url: string;
  readonly offset: number;
  /** Hears every byte from `offset` on once. */
  add(bytes: Uint8Array): void;
  /** Has the job ended? Then there will be no more than there is. */
  isOver(): boolean;
  readonly signal: AbortSignal;
}

/** Follow one output stream, over any number of connections, until the job has ended and all of it is here. */
export async function followOutput({ url, offset: start, add, isOver, signal }: FollowingOutput): Promise<void> {
  let offset = start;
  let pause = PAUSE_MS;
  while (!signal.aborted) {
    const wasOver = isOver();
    try {
      const answer = await fetch(`${url}&from=${offset}&follow=1`, { signal, cache: "no-store" });
      if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
      const reader = answer.body!.getReader();
      for (let { done, value } = await reader.read(); !done && value; { done, value } = await reader.read()) {
        if (signal.aborted) return; // somebody else may already go on from here
        offset += value.length;
        pause = PAUSE_MS;
        add(value);
      }
      if (wasOver) return;
    } catch (error) {
      if (signal.aborted || (error instanceof Refused && error.isFinal)) return;
      if (!(error instanceof TypeError || error instanceof Refused)) throw error;
    }
    await sleep(isOver() && !wasOver ? 0 : pause, signal);
    pause = Math.min(PAUSE_MAX_MS, pause * 2);
  }
}
