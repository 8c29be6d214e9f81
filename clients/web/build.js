/** One build: its head, its jobs as they change, and what one of them prints. */

import { byId, make, setAttribute, setMeter, setState, setText } from "./dom.js";
import { Build } from "./model.js";
import { Panel } from "./panel.js";
import { format } from "./route.js";
import { Rows } from "./rows.js";
import { follow, getJson, probe } from "./stream.js";
import { clockTime, count, duration, label, look, many, ran, waited, why } from "./words.js";

const CHIPS = ["all", "failed", "running", "queued", "blocked", "succeeded", "reused", "cancelled"];
const CELLS = ["state", "name", "worker", "try", "waited", "ran", "why"];

/** Show the build of `route`, which others may change, and keep it live until `signal`. */
export function showBuild({ route, tables, clock, farm, link, render, go, signal }) {
  const path = `api/builds/${encodeURIComponent(route.build)}`;
  let build = null;

  const rows = new Rows(byId("rows"), { create: makeRow, fill: fillRow, moved: render, signal });
  const panel = new Panel({ path, render, signal });
  byId("chips").onclick = ({ target }) => {
    const chip = target.closest("button");
    if (chip) go({ show: chip.dataset.show });
  };
  byId("search").value = route.q;
  byId("search").oninput = ({ target }) => go({ q: target.value });

  follow({
    load: async () => {
      build = new Build(await getJson(path, { signal, clock }), tables);
      render();
      return build.hasEnded ? null : build.position;
    },
    check: () => probe(path, signal),
    path: (position) => `${path}/events?after=${position}&batch=1`,
    take: (records) => {
      for (const record of records) {
        if (record.at) clock.hear(record.at);
        build.take(record);
      }
      render();
      return build.hasEnded ? null : build.position;
    },
    link,
    signal,
  });

  function makeRow() {
    return make("div", { role: "row", class: "row" }, ...CELLS.map((name) =>
      make("span", { role: "cell", class: name }, ...(name === "name" ? [make("a", {}, make("bdi"))] : []))));
  }

  function fillRow(row, job, index) {
    const [state, name, worker, attempt, waitedFor, ranFor, reason] = row.children;
    const [anchor, now, text] = [name.firstChild, clock.now(), why(job, build, farm)];
    setAttribute(row, "aria-rowindex", String(index + 2));
    row.classList.toggle("chosen", job.id === (route.job ?? build.firstFailed));
    setState(state, look(job));
    setText(anchor.firstChild, label(job));
    setAttribute(anchor, "href", format({ ...route, job: job.id }));
    setAttribute(anchor, "title", label(job));
    setText(worker, job.worker && !job.reused ? farm.name(job.worker) : "");
    setText(attempt, job.attempt > 1 ? `×${job.attempt}` : "");
    setText(waitedFor, waited(job, now));
    setText(ranFor, ran(job, now));
    setText(reason, text);
    setAttribute(reason, "title", text);
  }

  return {
    rows,
    title: () => build && `${label(build.info)} ${build.info.state}`,
    state: () => build?.info.state,
    isRunning: () => build !== null && !build.hasEnded,
    summary: () => build && `${build.info.state}: ${progress(build)}`,
    firstFailed: () => build?.firstFailed,
    render: () => {
      if (!build) return;
      byId("build").hidden = false;
      const shown = select(build.list, route, farm);
      renderHead(build, clock.now());
      farm.show(byId("build-workers"), workersSeen(build));
      renderChips(build, route.show);
      byId("nothing").hidden = shown.length > 0;
      setText(byId("nothing"), build.list.length ? "No job is like that now." : "This build has no jobs.");
      setAttribute(byId("table"), "aria-rowcount", String(shown.length + 1));
      panel.render(build, route, farm, clock.now());
      rows.render(shown);
    },
  };
}

/** Jobs by what they look like: "reused" split off from "succeeded". */
function split(build) {
  const reused = build.list.reduce((sum, job) => sum + job.reused, 0);
  return { ...build.counts, reused, succeeded: build.counts.succeeded - reused };
}

function progress({ counts, list }) {
  const done = counts.succeeded + counts.failed + counts.cancelled;
  const parts = [`${count(done)} of ${many(list.length, "job")} done`];
  for (const state of ["failed", "running"]) if (counts[state]) parts.push(`${count(counts[state])} ${state}`);
  return parts.join(" · ");
}

function renderHead(build, now) {
  const { info } = build;
  const hasEnded = info.ended_at !== null;
  const again = build.list.reduce((sum, job) => sum + Math.max(0, job.attempt - 1), 0);
  setState(byId("build-state"), info.state);
  setText(byId("build-name"), label(info));
  setText(byId("build-sum"), [progress(build), duration((info.ended_at ?? now) - info.started_at, !hasEnded),
    ...(again ? [many(again, "repeat")] : []), `started ${clockTime(info.started_at)}`, info.id.slice(0, 8)].join(" · "));
  setText(byId("build-error"), info.error);
  byId("build-error").hidden = !info.error;
  setMeter(byId("build-meter"), split(build));
  setAttribute(byId("build-meter"), "aria-label", progress(build));
}

/** Jobs that ended well or badly, by the id of their last worker. */
function workersSeen(build) {
  const seen = new Map();
  for (const { worker, ended_at, reused } of build.list) {
    if (worker && !reused) seen.set(worker, (seen.get(worker) ?? 0) + (ended_at !== null));
  }
  return seen;
}

function renderChips(build, show) {
  const box = byId("chips");
  const counts = { ...split(build), all: build.list.length };
  for (const name of CHIPS) {
    let chip = box.querySelector(`[data-show=${name}]`);
    if (!chip) {
      chip = make("button", { type: "button", "data-show": name }, make("span", { class: "state" }), make("span"));
      box.append(chip);
    }
    setState(chip.firstChild, name);
    setText(chip.lastChild, count(counts[name]));
    chip.hidden = build.hasEnded && !counts[name] && name !== "all" && name !== show;
    setAttribute(chip, "aria-pressed", String(name === show));
  }
}

function select(jobs, { show, q }, farm) {
  const text = q.toLowerCase();
  if (show === "all" && !text) return jobs;
  return jobs.filter((job) => (show === "all" || look(job) === show) &&
    (!text || label(job).toLowerCase().includes(text) || (job.worker && farm.name(job.worker).toLowerCase().includes(text))));
}
