/** What the page's canvases share: the style sheet's colours, hatches, sharp pixels. */

const NAMES = ["ground", "raised", "line", "edge", "text", "muted", "chosen", "queued", "running", "succeeded", "failed", "cancelled", "reused", "lost"] as const;

export type Tones = Readonly<Record<(typeof NAMES)[number], string>>;

/** The colours as they stand for the element, in this theme; some are only known once they are used. */
export function tonesOf(element: HTMLElement): Tones {
  const probe = element.appendChild(document.createElement("i"));
  const style = getComputedStyle(probe);
  const tones = Object.fromEntries(NAMES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, style.color];
  }));
  probe.remove();
  return tones as Tones;
}

/** Tell when the colours may have changed, or the pixels; returns how to end it. */
export function watchColours(changed: () => void): () => void {
  const queries = ["(prefers-color-scheme: dark)", "(forced-colors: active)", `(resolution: ${devicePixelRatio}dppx)`].map((query) => matchMedia(query));
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  for (const query of queries) query.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    for (const query of queries) query.removeEventListener("change", changed);
  };
}

/** A canvas of so many CSS pixels, empty, that draws as sharp as the screen is. */
export function sheet(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = devicePixelRatio || 1;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d", { alpha: false })!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return context;
}

export type Weave = "rising" | "falling" | "dense" | "level";

/** Stripes: what tells states apart where colours do not. `under` is what shows between them. */
export function hatch(context: CanvasRenderingContext2D, weave: Weave, colour: string, under: string): CanvasPattern {
  const size = weave === "dense" ? 4 : 6;
  const scale = devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(size * scale);
  const pen = tile.getContext("2d")!;
  pen.scale(tile.width / size, tile.height / size);
  pen.fillStyle = under;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = colour;
  pen.lineWidth = weave === "dense" ? 1 : weave === "rising" ? 1.4 : 2.4;
  pen.beginPath();
  if (weave === "level") {
    pen.moveTo(0, size / 2);
    pen.lineTo(size, size / 2);
  }
  for (const shift of weave === "level" ? [] : [-size, 0, size]) {
    const [from, upto] = weave === "rising" ? [size + 1, -1] : [-1, size + 1];
    pen.moveTo(shift - 1, from);
    pen.lineTo(shift + size + 1, upto);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat")!;
  pattern.setTransform(new DOMMatrix().scale(size / tile.width, size / tile.height));
  return pattern;
}

/** The text in so many pixels, cut in its midst or, of little room, at its start: names differ at their ends. */
export function cut(text: string, pixels: number, wide: number): string {
  const room = Math.floor(pixels / wide);
  if (text.length <= room) return text;
  if (room < 4) return "";
  const end = room < 12 ? room - 1 : Math.ceil((room - 1) * 0.6); // a character is about `wide`
  return `${text.slice(0, room - 1 - end)}…${text.slice(-end)}`;
}

/** Which keys follow a `g` so soon that they are the page's: g b, g w, g e. */
export function afterG(): (event: KeyboardEvent) => boolean {
  let pressedAt = -Infinity;
  return ({ key, timeStamp }) => {
    const isAfter = timeStamp - pressedAt < 1500;
    pressedAt = key === "g" ? timeStamp : -Infinity;
    return isAfter;
  };
}
