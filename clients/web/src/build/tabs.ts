/** The lights in which a build can be seen, in the order of their keys. A tab shows `view` as it stands. */

import type { Component } from "svelte";
import EventsTab from "./EventsTab.svelte";
import GanttTab from "./GanttTab.svelte";
import GraphTab from "./GraphTab.svelte";
import JobsTab from "./JobsTab.svelte";
import OutputTab from "./OutputTab.svelte";
import type { BuildView } from "./view.svelte.ts";

/** What a tab may offer to the keys: `move` the focus by so many rows, or give it to a job. */
export interface TabKeys {
  move?(step: number): void;
  focusItem?(id: string | undefined): void;
}

export interface Tab {
  readonly name: string;
  readonly title: string;
  readonly component: Component<{ view: BuildView }, TabKeys>;
}

export const TABS: readonly Tab[] = [
  { name: "jobs", title: "Jobs", component: JobsTab },
  { name: "gantt", title: "Gantt", component: GanttTab },
  { name: "graph", title: "Graph", component: GraphTab },
  { name: "output", title: "Output", component: OutputTab },
  { name: "events", title: "Events", component: EventsTab },
];
