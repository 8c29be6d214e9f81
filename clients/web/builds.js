/** The list of builds, newest first. */

import { byId, make, setAttribute, setMeter, setState, setText } from "./dom.js";
import { follow, getJson } from "./stream.js";
import { clockTime, count, duration, label } from "./words.js";

const PAGE = 50;
const REFRESH_MS = 400;

/** Show the list and keep it fresh until `signal`. The stream only says that something happened. */
export function showBuilds({ tables, clock, farm, link, render, signal }) {
  const shown = { builds: null, hasOlder: false, limit: PAGE };
  const types = [...Object.values(tables.job), ...Object.values(tables.build)].flatMap((row) => Object.keys(row));
  const wanted = new Set([...types, "BuildStarted", "BuildForgotten", "WorkerJoined", "WorkerLost"]);
  const query = [...wanted].map((type) => `&type=${type}`).join("");
  const options = { signal, clock };
  let isDue = false;

  async function refresh() {
    const [page, workers] = await Promise.all([getJson(`api/builds?limit=${shown.limit}`, options), getJson("api/workers", options)]);
    [shown.builds, shown.hasOlder] = [page.builds, page.next !== null];
    farm.set(workers.workers);
    render();
    return workers.position;
  }

  function refreshSoon() {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      if (!signal.aborted) refresh().catch(() => {}); // the stream breaks too, and tells
    }, document.hidden ? 10 * REFRESH_MS : REFRESH_MS);
  }

  byId("older").onclick = () => {
    shown.limit += PAGE;
    refreshSoon();
  };
  follow({
    load: refresh,
    path: (position) => `api/events?after=${position}&batch=1${query}`,
    take: (records) => {
      const news = records.filter((record) => record.type !== "Progress");
      news.forEach((record) => clock.hear(record.at));
      if (news.length) refreshSoon();
      return records.at(-1).position;
    },
    link,
    signal,
  });
  return {
    title: () => shown.builds && "builds",
    isRunning: () => shown.builds?.some((build) => build.ended_at === null),
    render: () => shown.builds && renderList(shown, clock),
  };
}

function renderList({ builds, hasOlder }, clock) {
  const list = byId("cards");
  byId("list").hidden = false;
  byId("list-empty").hidden = builds.length > 0;
  if (!builds.length) {
    const here = ` --coordinator ${location.origin}${location.pathname.replace(/\/$/, "")}`;
    setText(byId("first-commands"), `terzetto worker${here}\nterzetto build graph.toml${here}`);
  }
  byId("older").hidden = !hasOlder;
  const cards = new Map([...list.children].map((card) => [card.dataset.id, card]));
  const ids = new Set(builds.map((build) => build.id));
  for (const [id, card] of cards) if (!ids.has(id)) card.remove();
  builds.forEach((build, index) => {
    const card = cards.get(build.id) ?? makeCard(build);
    if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    fillCard(card, build, clock.now());
  });
}

function makeCard({ id }) {
  const link = make("a", { href: `#/b/${encodeURIComponent(id)}` }, make("span", { class: "state" }),
    make("bdi", { class: "name" }), make("code", {}, id.slice(0, 8)), make("span", { class: "meter", "aria-hidden": "true" }),
    make("span", { class: "numbers" }), make("span", { class: "times" }));
  return make("li", { "data-id": id }, link);
}

function fillCard(card, build, now) {
  const [state, name, , meter, numbers, times] = card.firstChild.children;
  const { succeeded, failed, cancelled } = build.counts;
  const done = succeeded + failed + cancelled;
  setState(state, build.state);
  setText(name, label(build));
  setMeter(meter, { ...build.counts, succeeded: succeeded - build.reused, reused: build.reused });
  const parts = [`${count(done)} of ${count(build.jobs)}`];
  if (failed) parts.push(`${count(failed)} failed`);
  if (build.reused) parts.push(`${count(build.reused)} reused`);
  setText(numbers, parts.join(" · "));
  setText(times, `${duration((build.ended_at ?? now) - build.started_at, build.ended_at === null)} · ${clockTime(build.started_at)}`);
  setAttribute(card, "title", build.error || build.id);
}
