"""axe-core, as people check pages with it: run in the page, its findings in words."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / "clients/web/node_modules/axe-core/axe.min.js"
GUIDELINES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What else depends on the colours?
CONTRAST = ["color-contrast"]
RUN = "async (only) => (await axe.run(document, { runOnly: only, resultTypes: ['violations'] })).violations"


@cache
def _source() -> str:
    return SOURCE.read_text()


def violations(page: Page, rules: Sequence[str] = GUIDELINES) -> list[str]:
    """What WCAG 2.2 AA forbids and the page does, a line each; none is how it has to be."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(RUN, rules)
    return [f"{one['id']}: {one['help']}: {_node(node)}" for one in found for node in one["nodes"]]


def _node(node: dict[str, Any]) -> str:
    return f"{' '.join(map(str, node['target']))} {node['html'][:200]} ({node['failureSummary']})"
