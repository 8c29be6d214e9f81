import { expect, it } from "vitest";
import { Chain } from "./chain.ts";

/** Lines as a coordinator exports them, the first one from the beginning of its log. */
const LOG = [
  '{"position":1,"at":1.5,"type":"TimePassed","note":"ä","chain":"cc31fd01db0e4d2c73e7ce21cd0982fc5aa8e40d98c7537e0987c05129450168"}',
  '{"position":2,"at":1.5,"type":"TimePassed","note":"ä","chain":"3aa56412f9b71aa360112da0ec18c765c417d76156e15df597827aa37a5e84e2"}',
  '{"position":3,"at":1.5,"type":"TimePassed","note":"ä","chain":"8f9811cc55da321a167e6b7bb6577b978cd2b72b32fe834eee11156a7a026501"}',
  '{"position":4,"at":1.5,"type":"TimePassed","note":"ä","chain":"3d955c058370fc421cfa7594f0e6ca9ccea94623b66bbaede647c5ac6696d0b0"}',
  '{"position":5,"at":1.5,"type":"TimePassed","note":"ä","chain":"091b0d5fabfba25f9ead324d5d740ebbc9735ccf1b08a52fe4d00f5b41ea8a09"}',
];

async function checked(log: readonly string[], isWhole = true): Promise<[number, number | null]> {
  const chain = new Chain(isWhole);
  for (const line of log) if (!(await chain.take(line))) break;
  return [chain.count, chain.broken];
}

it("holds for what was written, from the beginning or from anywhere", async () => {
  expect(await checked(LOG)).toEqual([5, null]);
  expect(await checked(LOG.slice(2), false)).toEqual([3, null]);
});

it("breaks at the first record that was altered, moved or removed", async () => {
  expect(await checked(LOG.map((line, at) => (at === 2 ? line.replace("1.5", "1.6") : line)))).toEqual([2, 3]);
  expect(await checked([LOG[0], LOG[2], LOG[1]])).toEqual([1, 3]);
  expect(await checked(LOG.slice(1))).toEqual([0, 2]);
  expect(await checked([LOG[0], LOG[1].replace(/,"chain":"[0-9a-f]{64}"\}$/, "}")])).toEqual([1, 2]);
});
