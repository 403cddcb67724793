"""Label Studio's own page, with which a person marks mentions by key and mouse."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from enigma_tasks.documents import Document, Entity
    from tests.integration.chromium_page import Page
    from tests.integration.label_studio_server import LabelStudio

SUBMIT = "[...document.querySelectorAll('button')].find(b => b.innerText.trim() === 'Submit')"
REGIONS = "document.querySelectorAll('.lsf-outliner-item').length"
TRIES = 400
CORNERS = """
((first, last) => {
  const shown = document.querySelector('.lsf-richtext');
  const frame = shown.querySelector('iframe');
  const place = frame ? frame.getBoundingClientRect() : {left: 0, top: 0};
  const root = frame ? frame.contentDocument.body : shown;
  const box = (word, character) => {
    const nodes = root.ownerDocument.createNodeIterator(root, NodeFilter.SHOW_TEXT);
    for (let node; (node = nodes.nextNode()); ) {
      const found = node.data.indexOf(word);
      if (found < 0) continue;
      const range = root.ownerDocument.createRange();
      range.setStart(node, found + character(word));
      range.setEnd(node, found + character(word) + 1);
      return range.getBoundingClientRect();
    }
  };
  const start = box(first, () => 0), end = box(last, word => word.length - 1);
  if (!start || !end) return null;
  const middle = b => place.top + b.top + b.height / 2;
  return [place.left + start.left + 0.5, middle(start), place.left + end.right - 0.3, middle(end)];
})"""


def annotate_in_page(
    page: Page, cookies: Mapping[str, str], server: LabelStudio, place: tuple[int, int], document: Document
) -> None:
    """Mark a document's mentions and submit. Each mention's first and last word occur once in the text.

    Args:
        cookies: of a browser in which somebody has logged in.
        place: (project, task).
    """
    project, task = place
    page.open(f"{server.url}/projects/{project}/data?task={task}", cookies)
    page.wait_for(f"location.search.includes('task={task}') && !!({SUBMIT})")
    for marked, entity in enumerate(document.entities):
        _mark(page, entity, marked)
    page.evaluate(f"{SUBMIT}.click()")
    for _ in range(1200):
        if server.annotations(task):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the page did not submit task {task}")


def _mark(page: Page, entity: Entity, marked: int) -> None:
    """Choose the label and drag over the mention, again as long as the page loses keys and moves what it shows."""
    number = LABELS.index(entity.label)
    words = entity.text.split()
    for _ in range(TRIES):
        if page.evaluate(REGIONS) > marked:
            return
        if page.evaluate(f"!!document.querySelectorAll('.lsf-label')[{number}]?.matches('.lsf-label_selected')"):
            page.drag(*page.wait_for(f"{CORNERS}({json.dumps(words[0])}, {json.dumps(words[-1])})"))
        else:
            page.press(str(number + 1))
        time.sleep(0.3)
    raise RuntimeError(f"the mention at {entity.char_start} cannot be marked")
