/** The chosen job: where it stands, why, and what it prints, live. */

import { byId, make, setAttribute, setState, setText } from "./dom.js";
import { Output } from "./output.js";
import { format, NONE } from "./route.js";
import { clockTime, label, look, many, ran, size, waited, why } from "./words.js";

const DEPS_SHOWN = 12;

export class Panel {
  constructor({ path, render, signal }) {
    this.path = path;
    this.output = new Output(signal);
    this.depsOf = null;
    document.addEventListener("visibilitychange", render, { signal });
  }

  /** Show the job that the address names, or else the first that failed; nothing when it was closed. */
  render(build, route, farm, now) {
    const job = build.jobs.get(route.job ?? build.firstFailed);
    const panel = byId("panel");
    const isShown = job !== undefined && route.job !== NONE;
    panel.hidden = !isShown;
    panel.classList.toggle("asked", isShown && route.job !== null);
    if (!isShown || document.hidden) return this.output.stop();
    setText(byId("job-name"), label(job));
    setState(byId("job-state"), look(job));
    setText(byId("job-why"), why(job, build, farm));
    const jobPath = `${this.path}/jobs/${encodeURIComponent(job.id)}/output`;
    this.#facts(job, farm, now);
    this.#deps(job, build, route);
    this.#links(job, jobPath);
    return this.output.show(job, jobPath);
  }

  #facts(job, farm, now) {
    const facts = {
      worker: job.worker && !job.reused ? farm.name(job.worker) : "",
      attempt: job.attempt ? String(job.attempt) : "",
      waited: waited(job, now),
      ran: ran(job, now),
      started: job.started_at ? clockTime(job.started_at) : "",
      exit: job.exit_code === null || job.reused ? "" : String(job.exit_code),
      id: job.id,
    };
    const list = byId("job-facts");
    for (const [name, value] of Object.entries(facts)) {
      let item = list.querySelector(`[data-fact=${name}]`);
      if (!item) list.append((item = make("div", { "data-fact": name }, make("dt", {}, name), make("dd"))));
      setText(item.lastChild, value);
      item.hidden = !value;
    }
  }

  #deps(job, build, route) {
    const box = byId("job-deps");
    const shown = job.deps.slice(0, DEPS_SHOWN).map((id) => build.jobs.get(id)).filter(Boolean);
    const rest = job.deps.length - shown.length;
    if (this.depsOf !== job.id) {
      this.depsOf = job.id;
      const chips = shown.map((dep) => make("a", {}, make("span", { class: "state" }), make("bdi", {}, label(dep))));
      box.replaceChildren(...(job.deps.length ? ["needs "] : []), ...chips, ...(rest > 0 ? [` and ${many(rest, "job")} more`] : []));
    }
    box.querySelectorAll("a").forEach((chip, index) => {
      setAttribute(chip, "href", format({ ...route, job: shown[index].id }));
      setState(chip.firstChild, look(shown[index]));
    });
  }

  #links(job, path) {
    const hasArtifact = job.state === "succeeded";
    const links = [
      ...["stdout", "stderr"].map((stream) => [`${path}?stream=${stream}`, job[`${stream}_bytes`] ?
        `${stream} ${size(job[`${stream}_bytes`])}` : stream, `${job.id.slice(0, 8)}.${stream}.txt`]),
      ...(hasArtifact ? [[`${this.path}/artifacts/${encodeURIComponent(job.id)}`, "artifact", `${job.id.slice(0, 8)}.tar`]] : []),
    ];
    const box = byId("job-links");
    const wanted = JSON.stringify(links);
    if (box.dataset.links === wanted) return;
    box.dataset.links = wanted;
    box.replaceChildren("download ", ...links.map(([href, text, download]) => make("a", { href, download }, text)));
  }
}
