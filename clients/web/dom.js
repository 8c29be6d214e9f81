/** The few things that every part of the page does to the document. Text goes in as text, never as markup. */

import { ICONS } from "./words.js";

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** A state is an icon, a word and a colour. */
export function setState(element, state) {
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.replaceChildren(make("i", { "aria-hidden": "true" }, ICONS[state] ?? "·"), make("b", {}, state));
}

/** Progress by state; `counts` hold the jobs of each, "reused" split off from "succeeded". */
export function setMeter(meter, counts) {
  for (const state of ["succeeded", "reused", "failed", "cancelled", "running", "queued", "blocked"]) {
    let part = meter.querySelector(`[data-state=${state}]`);
    if (!part) meter.append((part = make("i", { "data-state": state })));
    part.style.flexGrow = counts[state];
  }
}

/** Many wishes to render, one rendering a frame; a page that nobody sees renders once a second. */
export function coalesce(render) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    const go = () => {
      isDue = false;
      render();
    };
    if (document.hidden) setTimeout(go, 1000);
    else requestAnimationFrame(go);
  };
}
