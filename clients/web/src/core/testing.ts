/** What tests of the core need: the coordinator's tables, and records in short. */

import tables from "./transitions.json" with { type: "json" };
import type { LogRecord, Tables } from "./types.ts";

/** As GET api/transitions answers; a test of the coordinator holds the file against it. */
export const TABLES = tables as unknown as Tables;

/** Records of the build B at positions 1, 2, 3 …, each a second after the one before, the first at 1. */
export function records(...told: readonly (readonly [string, Record<string, unknown>?])[]): LogRecord[] {
  return told.map(([type, fields], index) => ({ position: index + 1, at: index + 1, type, build: "B", ...fields }));
}
