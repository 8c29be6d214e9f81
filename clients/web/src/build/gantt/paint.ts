/** The Gantt chart on its canvas: what is in sight of it, and nothing else. */

import type { Attempt, Outcome } from "../../core/attempts.ts";
import { endOf, fetchedFor, firstWhere, outcomeOf, type Moment } from "../../core/gantt/moment.ts";
import { rowsBetween, type Board, type Row } from "../../core/gantt/rows.ts";
import { gaps, runs, type Run } from "../../core/gantt/runs.ts";
import { ticks, tickWords, type Span } from "../../core/gantt/span.ts";
import { duration, ICONS } from "../../core/words.ts";
import { cut, hatch, type Tones } from "../canvas.ts";

export const AXIS = 26;

export interface Scene {
  readonly width: number;
  readonly height: number;
  /** Pixels at the left for the rows' names. */
  readonly gutter: number;
  readonly board: Board;
  readonly span: Span;
  /** How far the rows are scrolled. */
  readonly scroll: number;
  readonly list: readonly Attempt[];
  readonly moment: Moment;
  readonly start: number;
  readonly isPast: boolean;
  readonly showIdle: boolean;
  readonly path: readonly number[];
  /** The attempt to be marked; -1 for none. */
  readonly pointed: number;
  readonly chosen: string | undefined;
  /** All attempts of the chosen job. */
  readonly chosenPlaces: readonly number[];
  nameOfRow(row: Row): string;
  nameOfJob(job: string): string;
}

export interface Paints {
  readonly tones: Tones;
  readonly fills: Readonly<Record<Outcome, string | CanvasPattern>>;
  readonly waited: CanvasPattern;
  readonly fetched: CanvasPattern;
}

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const CHARACTER = 6.6;
const TEXT_MIN = 36;
const DRAWN_ICONS: Readonly<Record<Outcome, string>> = { succeeded: "", running: "", failed: ICONS.failed, released: ICONS.lost, cancelled: ICONS.cancelled };

export function paintsFor(context: CanvasRenderingContext2D, tones: Tones): Paints {
  return {
    tones,
    fills: { succeeded: tones.succeeded, running: tones.running, failed: hatch(context, "dense", tones.ground, tones.failed),
      released: hatch(context, "falling", tones.lost, tones.ground), cancelled: hatch(context, "level", tones.cancelled, tones.ground) },
    waited: hatch(context, "rising", tones.queued, "transparent"),
    fetched: hatch(context, "rising", tones.ground, "transparent"),
  };
}

export function paint(context: CanvasRenderingContext2D, scene: Scene, paints: Paints): void {
  const { width, height, gutter, board, scroll } = scene;
  const { tones } = paints;
  context.font = FONT;
  context.textBaseline = "middle";
  context.fillStyle = tones.ground;
  context.fillRect(0, 0, width, height);
  const [first, last] = rowsBetween(board, scroll, scroll + height - AXIS);
  const rows = board.rows.slice(first, last);
  context.save();
  context.beginPath();
  context.rect(gutter, AXIS, width - gutter, height - AXIS);
  context.clip();
  context.translate(gutter, AXIS - scroll);
  paintGround(context, scene, rows, tones);
  paintTicks(context, scene, tones);
  for (const row of rows) {
    if (scene.showIdle) paintIdle(context, scene, row, tones);
    paintWaits(context, scene, row, paints);
    for (const run of runs(scene.list, row.places, scene.span, width - gutter, scene.moment)) paintRun(context, scene, row, run, paints);
  }
  paintPath(context, scene, tones);
  paintMarks(context, scene, tones);
  paintNow(context, scene, tones);
  context.restore();
  paintNames(context, scene, rows, tones);
  paintAxis(context, scene, tones);
}

const xOf = ({ span, width, gutter }: Scene, at: number): number => ((at - span.from) / (span.upto - span.from)) * (width - gutter);

/** What of a row's height a bar takes. */
function barBox({ rowHeight }: Board): { inset: number; tall: number } {
  const inset = rowHeight >= 18 ? 3 : rowHeight >= 12 ? 2 : 1;
  return { inset, tall: rowHeight - 2 * inset };
}

function paintGround(context: CanvasRenderingContext2D, scene: Scene, rows: readonly Row[], tones: Tones): void {
  const { board, width, gutter, chosen } = scene;
  const { inset, tall } = barBox(board);
  for (const row of rows) {
    const isChosen = board.order === "job" && row.id === chosen;
    context.fillStyle = isChosen ? tones.chosen : tones.raised;
    if (board.order === "worker") context.fillRect(0, row.top + inset, width - gutter, tall);
    else if (isChosen) context.fillRect(0, row.top, width - gutter, board.rowHeight);
  }
}

function paintTicks(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  context.fillStyle = tones.line;
  for (const at of ticksOf(scene).at) context.fillRect(Math.round(xOf(scene, scene.start + at)), scene.scroll, 1, scene.height);
}

const ticksOf = ({ span, start, width, gutter }: Scene): ReturnType<typeof ticks> =>
  ticks(span, start, ((span.upto - span.from) / (width - gutter)) * 76);

function paintIdle(context: CanvasRenderingContext2D, scene: Scene, row: Row, tones: Tones): void {
  const { list, span, moment, board } = scene;
  const y = Math.round(row.top + board.rowHeight / 2) - 0.5;
  context.strokeStyle = tones.edge;
  context.fillStyle = tones.muted;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  for (const gap of gaps(list, row.places, span, moment, ((span.upto - span.from) / scene.width) * 6)) {
    const [from, upto] = [Math.max(0, xOf(scene, gap.from)), Math.min(scene.width, xOf(scene, gap.upto))];
    const words = `${duration(gap.upto - gap.from)} idle`;
    const room = upto - from > words.length * CHARACTER + 24 && board.rowHeight >= 14 ? words.length * CHARACTER + 8 : 0;
    const middle = (from + upto) / 2;
    context.beginPath();
    context.moveTo(from + 2, y);
    context.lineTo(middle - room / 2, y);
    context.moveTo(middle + room / 2, y);
    context.lineTo(upto - 2, y);
    context.stroke();
    if (!room) continue;
    context.textAlign = "center";
    context.fillText(words, middle, y + 1);
    context.textAlign = "left";
  }
  context.setLineDash([]);
}

/** How long each waited: all of it where the row is the job's, else what of it the slot stood empty. */
function paintWaits(context: CanvasRenderingContext2D, scene: Scene, { places, top }: Row, { waited }: Paints): void {
  const { list, board, span, moment } = scene;
  const tall = Math.max(3, Math.round(barBox(board).tall * 0.5));
  const y = Math.round(top + (board.rowHeight - tall) / 2);
  context.fillStyle = waited;
  const isSlot = board.order === "worker";
  const least = ((span.upto - span.from) / (scene.width - scene.gutter)) * 4;
  for (let index = isSlot ? firstWhere(places, (place) => list[place].startedAt >= span.from) : 0; index < places.length; index += 1) {
    const attempt = list[places[index]];
    const before = index && isSlot ? list[places[index - 1]].endedAt ?? -Infinity : -Infinity;
    const since = Math.max(attempt.queuedAt, before);
    if (attempt.from > moment.position || since > span.upto) break;
    if (attempt.startedAt - since < least || attempt.startedAt < span.from) continue;
    const [x, upto] = [Math.max(-9, xOf(scene, since)), Math.min(scene.width, xOf(scene, attempt.startedAt))];
    context.fillRect(x, y, upto - x, tall);
  }
}

function paintRun(context: CanvasRenderingContext2D, scene: Scene, row: Row, run: Run, { fills, fetched, tones }: Paints): void {
  const { inset, tall } = barBox(scene.board);
  const part = Math.max(2, Math.round((tall * run.fill) / 4));
  const y = Math.round(row.top + inset + tall - part);
  context.fillStyle = fills[run.outcome];
  if (run.place < 0) return context.fillRect(run.x, y, run.width, part);
  const x = Math.round(run.x);
  const width = Math.max(2, Math.round(run.x + run.width) - x - 1);
  const tone = toneOf(run.outcome, tones);
  if (width < 12 || part < 10) context.fillRect(x, y, width, part); // by far the quickest to draw
  else {
    context.beginPath();
    context.roundRect(x, y, width, part, 3);
    context.fill();
  }
  const ready = Math.min(x + width, Math.round(xOf(scene, scene.list[run.place].startedAt + fetchedFor(scene.list[run.place], scene.moment))));
  if (ready - x >= 2) {
    context.fillStyle = fetched;
    context.fillRect(x, y, ready - x, part);
  }
  if (width >= 4 && (run.outcome === "released" || run.outcome === "cancelled")) {
    context.strokeStyle = tone;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, width - 1, part - 1);
  }
  if (width >= 14 && run.outcome === "running") {
    context.fillStyle = tones.ground;
    for (const stripe of [4, 8]) context.fillRect(x + width - stripe, y, 1.5, part);
  }
  paintWords(context, scene, run, { x, y, width, tall: part, isHatched: ready - x >= 2 }, tones);
}

const toneOf = (outcome: Outcome, tones: Tones): string => (outcome === "released" ? tones.lost : tones[outcome]);

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly tall: number;
  /** Where words would begin. */
  readonly isHatched: boolean;
}

/** The sign of what went wrong, and the job's name where there is room; on the ground, since nothing is read on stripes. */
function paintWords(context: CanvasRenderingContext2D, scene: Scene, { outcome, place }: Run, { x, y, width, tall, isHatched }: Box, tones: Tones): void {
  const icon = DRAWN_ICONS[outcome];
  const left = Math.max(x, 0);
  const room = Math.min(x + width, scene.width - scene.gutter) - left;
  const middle = y + tall / 2 + 1;
  if (tall < 10 || (!icon && room < TEXT_MIN)) return;
  if (icon && room < 20) {
    context.fillStyle = toneOf(outcome, tones);
    if (width < 10) context.fillText(icon, x + width + 1, middle);
    return;
  }
  const { job } = scene.list[place];
  const name = room < TEXT_MIN ? "" : cut(scene.nameOfJob(job), room - (icon ? 30 : 10), CHARACTER);
  const isStriped = isHatched || (outcome !== "succeeded" && outcome !== "running");
  if (isStriped) {
    context.fillStyle = tones.ground;
    context.fillRect(left + 3, y + 1.5, (icon ? 15 : 0) + (name ? name.length * CHARACTER + 6 : 0), tall - 3);
  }
  context.fillStyle = isStriped ? toneOf(outcome, tones) : tones.ground;
  if (icon) context.fillText(icon, left + 5, middle);
  if (name) context.fillText(name, left + (icon ? 20 : 6), middle);
}

/** The bars on the critical path, outlined, and what led from each to the next. */
function paintPath(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  const { path, list, board, moment, span } = scene;
  const { inset, tall } = barBox(board);
  const [bars, ways] = [new Path2D(), new Path2D()];
  let before: { x: number; y: number; at: number } | null = null;
  for (const place of path) {
    const row = board.rowOf(place);
    if (!row) {
      before = null;
      continue;
    }
    const end = endOf(list[place], moment);
    const [x, upto] = [clamp(xOf(scene, list[place].startedAt), scene), clamp(xOf(scene, end), scene)];
    const top = Math.round(row.top + inset) - 0.5;
    if (end >= span.from && list[place].startedAt <= span.upto) bars.rect(x - 0.5, top, Math.max(3, upto - x), tall + 1);
    const y = Math.round(top + tall / 2) + 0.5;
    if (before && end >= span.from && before.at <= span.upto && (before.y !== y || x - before.x > 3)) {
      ways.moveTo(before.x - 0.5, before.y);
      ways.lineTo(before.x - 0.5, y);
      ways.lineTo(x - 0.5, y);
    }
    before = { x: upto, y, at: end };
  }
  stroke(context, ways, tones, 1.25);
  stroke(context, bars, tones, 2);
}

/** A line that stands out from whatever it crosses. */
function stroke(context: CanvasRenderingContext2D, path: Path2D, tones: Tones, width: number): void {
  context.lineJoin = "round";
  context.lineWidth = width + 2;
  context.strokeStyle = tones.ground;
  context.stroke(path);
  context.lineWidth = width;
  context.strokeStyle = tones.text;
  context.stroke(path);
}

const clamp = (x: number, { width }: Scene): number => Math.round(Math.max(-12, Math.min(width + 12, x)));

/** All attempts of the chosen job, and the one that is pointed at. */
function paintMarks(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  const { list, board, pointed, chosenPlaces, moment } = scene;
  const { inset, tall } = barBox(board);
  const mark = (place: number, colour: string): void => {
    const row = board.rowOf(place);
    if (!row || list[place].from > moment.position) return;
    const [x, upto] = [clamp(xOf(scene, list[place].startedAt), scene), clamp(xOf(scene, endOf(list[place], moment)), scene)];
    context.strokeStyle = tones.ground;
    context.lineWidth = 5;
    context.strokeRect(x - 2, row.top + inset - 2, Math.max(3, upto - x) + 3, tall + 4);
    context.strokeStyle = colour;
    context.lineWidth = 2.5;
    context.strokeRect(x - 2, row.top + inset - 2, Math.max(3, upto - x) + 3, tall + 4);
  };
  for (const place of chosenPlaces) mark(place, tones.running);
  if (pointed >= 0) mark(pointed, tones.text);
}

function paintNow(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  const x = Math.round(xOf(scene, scene.moment.now));
  context.fillStyle = scene.isPast ? tones.lost : tones.running;
  context.fillRect(x, scene.scroll, scene.isPast ? 2 : 1, scene.height);
}

function paintNames(context: CanvasRenderingContext2D, scene: Scene, rows: readonly Row[], tones: Tones): void {
  const { board, gutter, scroll, height, width, chosen } = scene;
  const room = board.head ? width : board.order === "job" ? gutter - 8 : gutter - 26;
  context.save();
  context.beginPath();
  context.rect(0, AXIS, width, height - AXIS);
  context.clip();
  rows.forEach((row, index) => {
    const y = AXIS - scroll + row.top + board.rowHeight / 2 + 1;
    const isNamed = board.order === "job" || row.isFirst || (index === 0 && !board.head);
    context.fillStyle = board.order === "job" && row.id === chosen ? tones.running : tones.text;
    if (isNamed) context.fillText(cut(scene.nameOfRow(row), room, CHARACTER), 4, board.head ? y - (board.rowHeight + board.head) / 2 : board.order === "worker" ? Math.max(y, AXIS + 7) : y);
    if (board.order === "job" || board.rowHeight < 12) return;
    context.fillStyle = tones.muted;
    context.textAlign = "right";
    context.fillText(String(row.slot + 1), gutter - 8, y);
    context.textAlign = "left";
  });
  context.restore();
}

function paintAxis(context: CanvasRenderingContext2D, scene: Scene, tones: Tones): void {
  const { step, at } = ticksOf(scene);
  const { gutter, width, start, moment } = scene;
  context.fillStyle = tones.muted;
  context.textAlign = "center";
  for (const tick of at) {
    const [x, words] = [gutter + xOf(scene, start + tick), tickWords(tick, step)];
    const half = (words.length * CHARACTER) / 2;
    if (x + half <= width) context.fillText(words, Math.max(gutter + half - 4, x), AXIS / 2);
  }
  context.fillStyle = tones.line;
  context.fillRect(gutter, AXIS - 1, width - gutter, 1);
  const x = gutter + xOf(scene, moment.now);
  if (x >= gutter && x <= width) {
    context.fillStyle = scene.isPast ? tones.lost : tones.running;
    context.beginPath();
    context.moveTo(x - 5, AXIS - 7);
    context.lineTo(x + 6, AXIS - 7);
    context.lineTo(x + 0.5, AXIS);
    context.fill();
  }
  context.textAlign = "left";
}

/** What the attempt came to, for those who read: `succeeded`, `lost` … */
export function outcomeWord(attempt: Attempt, moment: Moment): string {
  const outcome = outcomeOf(attempt, moment);
  return outcome === "released" ? "lost" : outcome;
}
