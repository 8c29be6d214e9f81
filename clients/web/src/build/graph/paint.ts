/** The graph on its canvas: what is in sight of it, with as much said about each item as there is room for. */

import type { Layout } from "../../core/graph/layout.ts";
import { count, ICONS, type Look } from "../../core/words.ts";
import { cut, type Tones } from "../canvas.ts";

/** How the layout's columns and rows become pixels, before zooming. */
export const COLUMN = 254;
export const ROW = 33;
const BOX = { width: 194, height: 26 };
const GROUP = { width: 194, height: 46 };

export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

/** What an item looks like: the state that matters most in it, and how many of each there are. */
export interface Sight {
  readonly look: Look;
  readonly counts: Readonly<Partial<Record<Look, number>>>;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly layout: Layout;
  readonly camera: Camera;
  readonly sights: readonly Sight[];
  /** Items of the chosen job and what is around it, and of the failed path. */
  readonly near: ReadonlySet<number>;
  readonly failed: ReadonlySet<number>;
  readonly chosen: number;
  readonly pointed: number;
}

/** From the calmest to what one must see. */
export const LOOKS: readonly Look[] = ["succeeded", "reused", "blocked", "queued", "cancelled", "running", "failed"];
// As in every bar of the page: what is done first, then what goes on; what is blocked is left empty.
const PARTS: readonly Look[] = ["succeeded", "reused", "failed", "cancelled", "running", "queued"];
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const CHARACTER = 7.1;
const LEGIBLE = 0.5;

export const boxOf = (isGroup: boolean): typeof BOX => (isGroup ? GROUP : BOX);

export function toneOf(look: Look, tones: Tones): string {
  return look === "blocked" ? tones.queued : tones[look];
}

export function paint(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  const { width, height, camera, pointed } = scene;
  context.fillStyle = tones.ground;
  context.fillRect(0, 0, width, height);
  context.save();
  context.scale(camera.zoom, camera.zoom);
  context.translate(-camera.x, -camera.y);
  context.font = FONT;
  context.textBaseline = "middle";
  const seen = inSight(scene);
  paintEdges(context, scene, seen, tones);
  const paintItem = camera.zoom < LEGIBLE ? paintPatch : paintBox;
  for (const index of seen) paintItem(context, scene, index, tones);
  if (seen.includes(pointed)) paintItem(context, scene, pointed, tones);
  context.restore();
}

/** The middle of an item's left side, in the layout's own pixels. */
export function placeOf(layout: Layout, index: number): { x: number; y: number } {
  return { x: layout.columns[index] * COLUMN, y: layout.rows[index] * ROW };
}

function inSight(scene: Scene): number[] {
  const { layout: { stacks, rows }, camera, width, height } = scene;
  const [left, right] = [camera.x - BOX.width, camera.x + width / camera.zoom];
  const [top, bottom] = [camera.y / ROW - 2, (camera.y + height / camera.zoom) / ROW + 2];
  const seen: number[] = [];
  stacks.forEach((stack, column) => {
    if (column * COLUMN < left || column * COLUMN > right) return;
    for (const index of stack) if (rows[index] >= top && rows[index] <= bottom) seen.push(index);
  });
  return seen;
}

/** Each kind of edges in one go: the ordinary ones, those around the chosen job, the failed path. */
function paintEdges(context: CanvasRenderingContext2D, scene: Scene, seen: readonly number[], tones: Tones): void {
  const { layout: { next, before }, near, failed, camera } = scene;
  const [plain, around, bad] = [new Path2D(), new Path2D(), new Path2D()];
  const draw = (from: number, upto: number): void =>
    drawEdge(failed.has(from) && failed.has(upto) ? bad : near.has(from) && near.has(upto) ? around : plain, scene, from, upto);
  const isSeen = new Set(seen);
  for (const index of seen) {
    for (const other of next[index]) draw(index, other);
    for (const other of before[index]) if (!isSeen.has(other)) draw(other, index);
  }
  const thin = 1 / Math.max(0.4, camera.zoom);
  context.globalAlpha = camera.zoom < LEGIBLE ? 0.35 : 0.7;
  stroke(context, plain, tones.edge, thin);
  context.globalAlpha = 1;
  stroke(context, around, tones.running, 2 * thin);
  stroke(context, bad, tones.failed, 4 * thin);
}

function stroke(context: CanvasRenderingContext2D, path: Path2D, tone: string, width: number): void {
  context.lineWidth = width;
  context.strokeStyle = tone;
  context.stroke(path);
}

function drawEdge(path: Path2D, scene: Scene, from: number, upto: number): void {
  const [a, b] = [placeOf(scene.layout, from), placeOf(scene.layout, upto)];
  const x = a.x + BOX.width;
  path.moveTo(x, a.y);
  if (scene.camera.zoom < LEGIBLE) path.lineTo(b.x, b.y);
  else if (b.x > a.x) {
    const bend = Math.min(90, (b.x - x) / 2);
    path.bezierCurveTo(x + bend, a.y, b.x - bend, b.y, b.x, b.y);
  } else path.bezierCurveTo(x + 60, a.y + 60, b.x - 60, b.y + 60, b.x, b.y); // back to the left
}

/** Too small to be read: a patch with its colour. */
function paintPatch(context: CanvasRenderingContext2D, scene: Scene, index: number, tones: Tones): void {
  const { look, counts } = scene.sights[index];
  const { x, y: middle } = placeOf(scene.layout, index);
  const { width, height } = boxOf(scene.layout.items[index].isGroup);
  const y = middle - height / 2;
  context.fillStyle = tones.ground;
  if (look === "blocked" || look === "queued") context.fillRect(x, y, width, height);
  context.fillStyle = toneOf(look, tones);
  const item = scene.layout.items[index];
  if (item.isGroup) paintParts(context, { x, y, width, height }, counts, item.members.length, tones);
  else {
    context.globalAlpha = look === "blocked" ? 0.25 : look === "queued" ? 0.5 : 1;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
  }
  if (look === "failed") cross(context, scene, x + width / 2, middle, tones);
  if (index !== scene.chosen && index !== scene.pointed) return;
  context.lineWidth = 3 / scene.camera.zoom;
  context.strokeStyle = index === scene.pointed ? tones.text : tones.running;
  context.strokeRect(x, y, width, height);
}

/** Failures are found at any zoom, and without colours. */
function cross(context: CanvasRenderingContext2D, { camera }: Scene, x: number, y: number, tones: Tones): void {
  const arm = 5 / camera.zoom;
  const path = new Path2D();
  for (const way of [-1, 1]) {
    path.moveTo(x - arm, y - arm * way);
    path.lineTo(x + arm, y + arm * way);
  }
  stroke(context, path, tones.ground, 5 / camera.zoom);
  stroke(context, path, tones.failed, 2.5 / camera.zoom);
}

function paintBox(context: CanvasRenderingContext2D, scene: Scene, index: number, tones: Tones): void {
  const { isGroup, name, members } = scene.layout.items[index];
  const { look, counts } = scene.sights[index];
  const { width, height } = boxOf(isGroup);
  const { x, y: middle } = placeOf(scene.layout, index);
  const y = middle - height / 2;
  const tone = toneOf(look, tones);
  if (isGroup) paintPile(context, x, y, tones);
  context.beginPath();
  context.roundRect(x, y, width, height, 5);
  context.fillStyle = index === scene.chosen ? tones.chosen : tones.raised;
  context.fill();
  if (look === "running" || look === "failed") paintStripe(context, x, y, height, tone);
  paintBorder(context, scene, index, tones);
  const line = isGroup ? y + 16 : middle + 1;
  const digits = isGroup ? count(members.length) : "";
  if (isGroup) paintParts(context, { x: x + 10, y: y + height - 14, width: width - 20, height: 5 }, counts, members.length, tones);
  context.fillStyle = tones.muted;
  context.textAlign = "right";
  context.fillText(digits, x + width - 10, line);
  context.textAlign = "left";
  context.fillStyle = tone;
  context.fillText(ICONS[look], x + 11, line);
  context.fillStyle = tones.text;
  context.fillText(cut(name, width - 36 - (digits && digits.length * CHARACTER + 10 || 0), CHARACTER), x + 28, line);
}

/** What one looks for: what runs, and what failed. */
function paintStripe(context: CanvasRenderingContext2D, x: number, y: number, height: number, tone: string): void {
  context.beginPath();
  context.roundRect(x, y, 6, height, [5, 0, 0, 5]);
  context.fillStyle = tone;
  context.fill();
}

function paintBorder(context: CanvasRenderingContext2D, { layout, chosen, pointed, sights }: Scene, index: number, tones: Tones): void {
  const { look } = sights[index];
  const isMarked = index === chosen || index === pointed;
  const own = layout.items[index].isGroup && look !== "failed" ? tones.edge : toneOf(look, tones);
  context.lineWidth = isMarked ? 2.5 : look === "failed" ? 2 : 1;
  context.strokeStyle = index === pointed ? tones.text : index === chosen ? tones.running : own;
  if (look === "blocked" && !isMarked) context.setLineDash([3, 3]);
  const { width, height } = boxOf(layout.items[index].isGroup);
  const { x, y } = placeOf(layout, index);
  context.beginPath();
  context.roundRect(x, y - height / 2, width, height, 5);
  context.stroke();
  context.setLineDash([]);
}

/** There are more of them: the edges of what lies beneath. */
function paintPile(context: CanvasRenderingContext2D, x: number, y: number, tones: Tones): void {
  for (const off of [6, 3]) {
    context.beginPath();
    context.roundRect(x + off, y + off, GROUP.width, GROUP.height, 5);
    context.fillStyle = tones.raised;
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = tones.edge;
    context.stroke();
  }
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** How many of a group's jobs are in which state. */
function paintParts(context: CanvasRenderingContext2D, { x, y, width, height }: Box, counts: Sight["counts"], all: number, tones: Tones): void {
  context.fillStyle = tones.line;
  context.fillRect(x, y, width, height);
  let at = x;
  for (const look of PARTS) {
    const some = counts[look] ?? 0;
    if (!some) continue;
    const wide = Math.min(Math.max(2, (some / all) * width), x + width - at);
    context.fillStyle = toneOf(look, tones);
    context.globalAlpha = look === "queued" ? 0.55 : 1;
    context.fillRect(at, y, wide, height);
    at += wide;
  }
  context.globalAlpha = 1;
}
