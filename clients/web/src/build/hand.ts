/** What a hand does to a canvas: it points, clicks, drags, turns the wheel, spreads two fingers. */

interface Point {
  readonly x: number;
  readonly y: number;
}

/** What that comes to; all in pixels of the canvas. */
export interface Wishes {
  point(at: Point): void;
  click(at: Point): void;
  /** What is drawn goes along with the hand. */
  pan(right: number, down: number): void;
  /** Closer, or farther below 1; what is there stays there. */
  zoom(factor: number, at: Point): void;
  leave(): void;
  /** Does the wheel move what is there, instead of bringing it closer? */
  isScroll?(at: Point): boolean;
}

const SCROLLING_MS = 250;
const STILL = 4; // pixels that a hand may move and yet only click
const APART = 8;
let scrolledAt = -SCROLLING_MS;
addEventListener("scroll", () => (scrolledAt = performance.now()), { passive: true });

/** The handlers for a canvas. */
export function handOf(wishes: Wishes) {
  const fingers = new Map<number, Point>();
  let drag: { at: Point; isMoved: boolean } | null = null;

  const where = ({ clientX, clientY, currentTarget }: MouseEvent): Point => {
    const { left, top } = (currentTarget as HTMLElement).getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };

  /** What lies between two fingers stays between them. */
  function pinch(id: number, to: Point): void {
    const from = fingers.get(id)!;
    const other = [...fingers].find(([each]) => each !== id)![1];
    const [before, after] = [from, to].map(({ x, y }) => Math.hypot(x - other.x, y - other.y));
    if (before > APART && after > APART) wishes.zoom(after / before, { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 });
  }

  function onpointerup(event: PointerEvent): void {
    fingers.delete(event.pointerId);
    const [rest] = fingers.values();
    if (rest) return void (drag = { at: rest, isMoved: true });
    const wasClick = drag !== null && !drag.isMoved && event.type === "pointerup";
    drag = null;
    if (wasClick) wishes.click(where(event));
  }

  return {
    onwheel(event: WheelEvent): void {
      // A page that is being scrolled goes on under the hand, whatever comes below it.
      if (!event.ctrlKey && performance.now() - scrolledAt < SCROLLING_MS) return;
      event.preventDefault();
      const at = where(event);
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) wishes.pan(-(event.deltaX || event.deltaY) * unit, 0);
      else if (!event.ctrlKey && wishes.isScroll?.(at)) wishes.pan(0, -event.deltaY * unit);
      else wishes.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0023)), at);
      wishes.point(at);
    },
    onpointerdown(event: PointerEvent): void {
      if (event.button !== 0) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, where(event));
      drag = { at: where(event), isMoved: fingers.size > 1 };
    },
    onpointermove(event: PointerEvent): void {
      const at = where(event);
      if (drag === null) return wishes.point(at);
      if (!fingers.has(event.pointerId)) return;
      const [right, down] = [at.x - drag.at.x, at.y - drag.at.y];
      if (fingers.size > 1) pinch(event.pointerId, at);
      else if (drag.isMoved || Math.hypot(right, down) > STILL) {
        wishes.leave();
        wishes.pan(right, down);
        drag = { at, isMoved: true };
      }
      fingers.set(event.pointerId, at);
    },
    onpointerup,
    onpointercancel: onpointerup,
    onpointerleave(): void {
      if (drag === null) wishes.leave();
    },
  };
}
