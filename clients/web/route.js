/** The address is the state: `#/` or `#/b/BUILD?job=JOB&show=STATE&q=TEXT`. */

// No job, not even the first that failed: the panel was closed.
export const NONE = "-";

export function parse(hash) {
  const [, build, query] = /^#\/b\/([^?]+)\??(.*)$/.exec(hash) ?? [];
  const asked = new URLSearchParams(query);
  return { build: build ? decode(build) : null, job: asked.get("job"), show: asked.get("show") ?? "all",
    q: asked.get("q") ?? "" };
}

export function format({ build, job, show, q }) {
  if (!build) return "#/";
  const query = new URLSearchParams();
  if (job) query.set("job", job);
  if (show !== "all") query.set("show", show);
  if (q) query.set("q", q);
  return `#/b/${encodeURIComponent(build)}${query.size ? `?${query}` : ""}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no build is called that, and the coordinator will say so
  }
}
