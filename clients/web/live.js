/** The live page: which part is shown, the keys, and what is known of the connection. */

import { showBuild } from "./build.js";
import { showBuilds } from "./builds.js";
import { byId, coalesce, setText } from "./dom.js";
import { Farm } from "./farm.js";
import { Clock } from "./model.js";
import { format, NONE, parse } from "./route.js";
import { getJson } from "./stream.js";
import { clockTime, ICONS } from "./words.js";

const TICK_MS = 1000;
const FARM_MS = 5000;
const SAY_MS = 5000;

const farm = new Farm();
const render = coalesce(renderAll);
let tables = null;
let route = {};
let page = null;
let abort = new AbortController();
let clock = new Clock();
let link = { state: "connecting" };
let toldAt = 0;

function renderAll() {
  page?.render();
  renderLink();
  setText(byId("farm"), link.state === "reconnecting" ? `as of ${clockTime(clock.now())}` : farm.summary());
  const [title, icon] = [page?.title() ?? "", ICONS[page?.state?.()] ?? ""];
  document.title = `${icon && `${icon} `}${title && `${title} – `}Terzetto`;
}

function renderLink() {
  const seconds = Math.ceil((link.retryAt - Date.now()) / 1000);
  const retry = seconds > 0 ? `reconnecting in ${seconds} s` : "reconnecting";
  byId("pill").dataset.state = link.state;
  setText(byId("pill-text"), link.state === "reconnecting" ? retry : link.state === "gone" ? "not found" : link.state);
  const notice = link.state === "gone" ? link.error.message : link.state === "reconnecting" && !page?.title() ?
    "The coordinator does not answer. This page goes on as soon as it does." : "";
  setText(byId("notice"), notice);
  byId("notice").hidden = !notice;
}

function setLink(state, retryAt = 0, error = null) {
  const isNews = link.state !== state;
  link = { state, retryAt, error };
  clock.freeze(state === "reconnecting");
  document.body.dataset.link = state;
  if (isNews && state === "ended") refreshFarm();
  if (isNews) say(error?.message ?? ((state === "ended" && page.summary()) || state), true);
  render();
}

/** For those who listen: at most a sentence every few seconds, unless it must be said. */
function say(text, isUrgent = false) {
  if (!text || (!isUrgent && Date.now() - toldAt < SAY_MS)) return;
  toldAt = Date.now();
  setText(byId("said"), text);
}

function navigate() {
  const hash = location.hash;
  if (hash && !hash.startsWith("#/")) return; // a place in the page
  const asked = parse(hash);
  const isSame = page !== null && asked.build === route.build;
  const hasNewJob = isSame && asked.job !== route.job;
  Object.assign(isSame ? route : (route = {}), asked);
  if (!isSame) open();
  render();
  if (hasNewJob && asked.job && asked.job !== NONE) requestAnimationFrame(() => byId("job-name").focus({ preventScroll: true }));
}

function open() {
  abort.abort();
  abort = new AbortController();
  clock = new Clock();
  byId("list").hidden = byId("build").hidden = true; // until there is something to show
  byId("to-builds").toggleAttribute("aria-current", route.build === null);
  const { signal } = abort;
  const told = (...news) => signal.aborted || setLink(...news);
  told("connecting");
  if (route.build) refreshFarm();
  page = (route.build ? showBuild : showBuilds)({ route, tables, clock, farm, link: told, render, go, signal });
  window.scrollTo(0, 0);
}

/** Change the address in place. */
function go(changes) {
  history.replaceState(null, "", format({ ...route, ...changes }));
  navigate();
}

function close() {
  if (byId("panel").hidden) return;
  const job = route.job ?? page.firstFailed();
  go({ job: NONE });
  page.rows.focusItem(job);
}

function onKey(event) {
  const isTyping = event.target.matches("input, textarea, select");
  if (event.key === "Escape") return isTyping ? event.target.blur() : close();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const rows = page?.rows;
  const step = { j: 1, k: -1, ...(rows?.focused >= 0 && { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }) }[event.key];
  if (step && rows) rows.move(step);
  else if (event.key === "/" && rows) byId("search").focus();
  else if (event.key === "f" && page?.firstFailed?.()) go({ job: page.firstFailed() });
  else return undefined;
  return event.preventDefault();
}

async function refreshFarm() {
  await getJson("api/workers").then(({ workers }) => farm.set(workers), () => {}); // the stream tells of outages
  render();
}

async function start() {
  // The command line prints addresses of the form ?build=ID.
  const asked = new URLSearchParams(location.search).get("build");
  if (asked) history.replaceState(null, "", location.pathname + format({ ...parse(""), build: asked }));
  byId("close").onclick = close;
  byId("skip").onclick = (event) => {
    event.preventDefault();
    byId("main").focus();
  };
  document.addEventListener("keydown", onKey);
  for (let pause = 500; tables === null; pause = Math.min(10_000, pause * 2)) {
    try {
      tables = await getJson("api/transitions");
    } catch {
      setLink("reconnecting", Date.now() + pause);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  window.addEventListener("hashchange", navigate);
  navigate();
  setInterval(() => {
    if (page?.isRunning() || link.state === "reconnecting") render();
    say(page?.isRunning() && page.summary?.());
  }, TICK_MS);
  setInterval(() => document.hidden || link.state !== "live" || !route.build || refreshFarm(), FARM_MS);
}

start();
