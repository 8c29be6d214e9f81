/** A list of any length of which only what is in sight is in the document; the page itself scrolls. */

const BEYOND = 8; // rows ready above and below what is in sight
const HEADS_PX = 78; // what the bar and the column heads cover

export class Rows {
  #shown = new Map();
  #items = [];
  #cursor = null;

  /** `create()` makes a row, `fill(row, item, index)` writes it; items have an `id`. */
  constructor(box, { create, fill, moved, signal }) {
    Object.assign(this, { box, create, fill });
    box.replaceChildren();
    box.addEventListener("focusin", ({ target }) => (this.#cursor = target.closest("[data-id]").dataset.id), { signal });
    window.addEventListener("scroll", moved, { passive: true, signal });
    const observer = new ResizeObserver(moved);
    observer.observe(box);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  get height() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--row"));
  }

  render(items) {
    this.#items = items;
    const height = this.height;
    const top = -this.box.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + window.innerHeight) / height) + BEYOND);
    this.box.style.height = `${items.length * height}px`;
    const wanted = items.slice(first, last).map((item, index) => [item, first + index]);
    this.#keepFocused(wanted, first, last);
    this.#place(wanted, height);
    this.#letTabReachOne(wanted, items[Math.min(first + BEYOND, last - 1)]);
  }

  /** Give the row's link the focus, and scroll it into sight; nothing if there is no such row. */
  focusItem(id) {
    const index = this.#items.findIndex((item) => item.id === id);
    if (index < 0) return;
    const y = this.box.getBoundingClientRect().top + index * this.height;
    const isInSight = y > HEADS_PX && y < window.innerHeight - 2 * this.height;
    if (!isInSight) window.scrollBy(0, y - window.innerHeight / 2);
    this.render(this.#items);
    this.#shown.get(id).querySelector("a").focus({ preventScroll: true });
  }

  /** Move the focus by so many rows, from where it is or from the first row in sight. */
  move(step) {
    const { focused } = this;
    const start = focused < 0 ? Math.ceil((HEADS_PX - this.box.getBoundingClientRect().top) / this.height) : focused + step;
    const index = Math.max(0, Math.min(this.#items.length - 1, start));
    this.focusItem(this.#items[index]?.id);
  }

  /** The index of the row that has the focus, or -1. */
  get focused() {
    const id = document.activeElement?.closest("[data-id]")?.dataset.id;
    return id === undefined ? -1 : this.#items.findIndex((item) => item.id === id);
  }

  #keepFocused(wanted, first, last) {
    const index = this.box.contains(document.activeElement) ? this.focused : -1;
    if (index >= 0 && index < first) wanted.unshift([this.#items[index], index]);
    if (index >= last) wanted.push([this.#items[index], index]);
  }

  /** The tab key passes the table in one step: it stops at the row last used, or at the first in sight. */
  #letTabReachOne(wanted, fallback) {
    const id = this.#shown.has(this.#cursor) ? this.#cursor : fallback?.id;
    for (const [item] of wanted) this.#shown.get(item.id).querySelector("a").tabIndex = item.id === id ? 0 : -1;
  }

  #place(wanted, height) {
    const ids = new Set(wanted.map(([item]) => item.id));
    for (const [id, row] of this.#shown) {
      if (ids.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    let after = this.box.firstChild; // rows that stay are never moved, so that they keep the focus
    for (const [item, index] of wanted) {
      let row = this.#shown.get(item.id);
      if (row) after = row.nextSibling;
      else {
        row = this.create();
        row.dataset.id = item.id;
        this.#shown.set(item.id, row);
        this.box.insertBefore(row, after);
      }
      row.style.transform = `translateY(${index * height}px)`;
      this.fill(row, item, index);
    }
  }
}
