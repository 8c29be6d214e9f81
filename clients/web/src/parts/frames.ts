/** Many wishes to draw, one drawing a frame; a page that nobody sees draws once a second. */
export function coalesce(draw: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    const go = (): void => {
      isDue = false;
      draw();
    };
    if (document.hidden) setTimeout(go, 1000);
    else requestAnimationFrame(go);
  };
}
