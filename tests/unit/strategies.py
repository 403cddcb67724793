"""Texts and spans for property tests: everything that breaks offsets in practice."""

from __future__ import annotations

from hypothesis import strategies as st

from enigma_tasks.documents import LABELS, Entity, entity_at, sorted_entities
from enigma_tasks.errors import DataError
from enigma_tasks.notes.references import check_text, text_of_bytes

PIECES = [
    "\r\n", "\n", "\r", "\ufeff", "a\u0301", "ř", "😀", "👩\u200d⚕️", "\u2028", "\u0085", "\x0b", "\x1c", "\t", "  ",
    '"', '""', "\\", "tos", "dolor ", "-", "1,5", "\u00a0", ";", "T1", "#",
]  # fmt: skip

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1, max_size=30).map("".join).filter(bool)


def is_note(text: str) -> bool:
    """No rule for texts refuses it."""
    try:
        check_text("text", text)
        text_of_bytes("text", text.encode(), 1 << 20)
    except DataError:
        return False
    return True


@st.composite
def annotated_texts(draw: st.DrawFn, max_spans: int = 8) -> tuple[str, tuple[Entity, ...]]:
    """A text with distinct spans, overlapping ones among them."""
    text = draw(texts)
    spans = draw(
        st.sets(
            st.tuples(st.sampled_from(LABELS), st.integers(0, len(text) - 1), st.integers(1, 12)), max_size=max_spans
        )
    )
    entities = {entity_at("n", text, label, start, min(start + size, len(text))) for label, start, size in spans}
    return text, sorted_entities(entities)


def spans_within(length: int, max_size: int = 12) -> st.SearchStrategy[list[Entity]]:
    """Spans of two labels in a text of `length` times the letter x."""
    return st.lists(
        st.builds(
            lambda label, start, size: entity_at("n", "x" * length, label, start, min(start + size, length)),
            st.sampled_from(LABELS[:2]),
            st.integers(0, length - 1),
            st.integers(1, 10),
        ),
        max_size=max_size,
    )
