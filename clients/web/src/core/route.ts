/** The address is the state: `#/`, `#/b/BUILD?tab=gantt&job=JOB&at=POSITION…`, `#/workers`, `#/events?…`. */

export type Page = "builds" | "build" | "workers" | "events";

/** What the address asks for; every parameter is text, absent ones are undefined. */
export interface Route {
  readonly page: Page;
  readonly build: string | null;
  readonly asked: Readonly<Record<string, string>>;
}

// No job, not even the first that failed: the panel was closed.
export const NONE = "-";

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const asked = Object.fromEntries(new URLSearchParams(query));
  const [kind, ...rest] = path.split("/");
  if (kind === "b" && rest.length) return { page: "build", build: decode(rest.join("/")), asked };
  if (kind === "workers" || kind === "events") return { page: kind, build: null, asked };
  return { page: "builds", build: null, asked };
}

/** The address of a route; empty parameters are left out. */
export function format({ page, build, asked }: Route): string {
  const path = page === "build" ? `b/${encodeURIComponent(build ?? "")}` : page === "builds" ? "" : page;
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== "")).toString();
  return `#/${path}${query && `?${query}`}`;
}

export type Changes = Readonly<Record<string, string | number | null | undefined>>;

/** The same page with other parameters; null, undefined and "" take one away. */
export function changed(route: Route, changes: Changes): Route {
  const asked: Record<string, string> = { ...route.asked };
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") delete asked[name];
    else asked[name] = String(value);
  }
  return { ...route, asked };
}

/** The position that `at=` names, or null for now. */
export function positionOf({ asked }: Route): number | null {
  return /^[0-9]{1,15}$/.test(asked.at ?? "") ? Number(asked.at) : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no build is called that, and the coordinator will say so
  }
}
