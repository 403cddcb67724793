"""(seed, language, index) -> one synthetic discharge summary with gold, independent of other notes.

Shares of notes (`*_SHARE`) have peculiarities of exports, drawn independently: CRLF line ends, no-break spaces, a
section with decomposed accents (NFD), another country's decimal sign. Gold has the patient's mentions, negated ones
included; relatives' diseases, names of clinics and leaflets are not marked.
"""

from __future__ import annotations

import functools
import random
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from enigma_tasks.documents import Document, Entity
from enigma_tasks.synthetic import lexicon as lexicons
from enigma_tasks.synthetic.draft import CASE_TERMS, Draft
from enigma_tasks.synthetic.templates import Line, compile_line, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from enigma_tasks.documents import EntityType

CRLF_SHARE = 0.04
NO_BREAK_SHARE = 0.04
NFD_SHARE = 0.03
DECIMAL_SHARE = 0.05
COPY_SHARE = 0.4
"""Share of the longer notes in which the course repeats an earlier paragraph word for word."""
CAPITALS_SHARE = 0.3
FIRST_DAY = date(2016, 1, 1).toordinal()
DAYS = 3650
ALWAYS = frozenset({"reason", "present", "course", "diagnoses", "plan"})
COPIED_FROM = ("present", "exam", "tests")
BULLETS = ("- ", "• ", "* ", "", "#. ", "#) ")

Piece = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of section, compiled."""

    kind: str
    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    itemised: bool


@dataclass(frozen=True, slots=True)
class Templates:
    """All templates of a language, compiled."""

    sections: tuple[Section, ...]
    header: tuple[Line, ...]
    footer: tuple[Line, ...]
    capitals: tuple[Line, ...]
    copied: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Style:
    """Layout of one note, and peculiarities of its file."""

    size: float
    """0 (a few lines) to 1 (pages)."""
    heading: int
    bullet: str
    separator: str
    """Between the sentences of a paragraph."""
    crlf: bool
    no_break: bool
    decomposed: str
    """The kind of section with NFD accents, or empty."""
    copied: str
    """The kind of section that the course repeats, or empty."""


def languages() -> tuple[str, ...]:
    """The languages in which notes can be generated, sorted."""
    return lexicons.languages()


def types_of(language: str) -> tuple[EntityType, ...]:
    """The types that notes in this language can be gold for."""
    return lexicons.load_lexicon(language).types


def notes(total: int, languages: Sequence[str], seed: int) -> Iterator[Document]:
    """`total` documents, in the languages in turn, generated one at a time."""
    for number in range(total):
        index, turn = divmod(number, len(languages))
        yield generate_note(languages[turn], index, seed)


def generate_note(language: str, index: int, seed: int) -> Document:
    """The document `sample-{language}-{seed}-{index}`; deterministic.

    The id contains the seed, so that notes of two seeds can be train and dev.
    """
    rng = random.Random(f"enigma sample {seed} {language} {index}")
    draft, style = _draft(rng, lexicons.load_lexicon(language)), _style(rng)
    templates = load_templates(language)
    _lines(draft, templates.header, 2 + int(style.size * 3))
    copied: list[Piece] = []
    for section in templates.sections:
        if section.kind in ALWAYS or rng.random() < 0.35 + 0.65 * style.size:
            start = len(draft.pieces)
            _section(draft, style, section, templates)
            draft.pieces[start:] = _with_peculiarities(draft.pieces[start:], style, section.kind, rng)
            if section.kind == style.copied:
                copied = draft.pieces[start + 1 :]  # without the heading, which is the first piece
            if section.kind == "course" and copied:
                _lines(draft, templates.copied, 1)
                draft.pieces += copied
    draft.pieces.append(("\n", ""))
    _lines(draft, templates.footer, 1)
    return _document(f"sample-{language}-{seed}-{index:06d}", language, draft.pieces, crlf=style.crlf)


@functools.cache
def load_templates(language: str) -> Templates:
    """Compile a lexicon's templates. Raises ValueError for an unknown slot."""
    source = lexicons.load_lexicon(language)

    def compiled(lines: tuple[str, ...]) -> tuple[Line, ...]:
        return tuple(compile_line(line, language) for line in lines)

    return Templates(
        tuple(Section(k, s.headings, compiled(s.lines), s.itemised) for k, s in source.sections.items()),
        compiled(source.header),
        compiled(source.footer),
        compiled(source.capitals),
        compiled(source.copied),
    )


def _draft(rng: random.Random, lexicon: lexicons.Lexicon) -> Draft:
    other = "," if lexicon.decimal == "." else "."
    return Draft(
        rng=rng,
        lexicon=lexicon,
        sex=rng.getrandbits(1),
        age=20 + int(rng.random() * 76),
        admitted=FIRST_DAY + int(rng.random() * DAYS),
        stay=2 + int(rng.random() ** 2 * 30),
        decimal=other if rng.random() < DECIMAL_SHARE else lexicon.decimal,
        date_pattern=rng.choice(lexicon.dates),
        case={pool: rng.sample(terms, CASE_TERMS) for pool, terms in lexicon.terms.items()},
    )


def _style(rng: random.Random) -> Style:
    size = 0.15 + 0.85 * rng.random()
    return Style(
        size=size,
        heading=int(rng.random() * 4),
        bullet=rng.choice(BULLETS),
        separator="\n" if rng.random() < 0.15 else " ",
        crlf=rng.random() < CRLF_SHARE,
        no_break=rng.random() < NO_BREAK_SHARE,
        decomposed=rng.choice(COPIED_FROM) if rng.random() < NFD_SHARE else "",
        copied=rng.choice(COPIED_FROM) if size > 0.3 and rng.random() < COPY_SHARE else "",
    )


def _section(draft: Draft, style: Style, section: Section, templates: Templates) -> None:
    """Append a section's heading and sentences."""
    rng = draft.rng
    if section.kind == "diagnoses" and rng.random() < CAPITALS_SHARE:
        draft.pieces.append(("\n", ""))
        _lines(draft, templates.capitals, 1)
    heading = section.headings[int(rng.random() * len(section.headings))]
    layouts = (f"\n{heading.upper()}\n", f"\n{heading}:\n", f"\n{heading}: ", f"\n{heading.upper()}:\n")
    listed = section.itemised and style.heading != 2
    draft.pieces.append((layouts[style.heading], ""))
    count = 1 + int(rng.random() * (1.5 + 3.5 * style.size))
    for number, line in enumerate(rng.sample(section.lines, count), start=1):
        if listed:
            draft.pieces.append((style.bullet.replace("#", str(number)), ""))
        sentence(draft, line)
        if listed:
            draft.pieces.append(("\n", ""))
        elif section.itemised:
            draft.end_with("." + ("\n" if number == count else " "))
        else:
            draft.pieces.append(("\n" if number == count else style.separator, ""))


def _lines(draft: Draft, lines: tuple[Line, ...], count: int) -> None:
    for line in draft.rng.sample(lines, min(count, len(lines))):
        sentence(draft, line)
        draft.pieces.append(("\n", ""))


def _with_peculiarities(pieces: list[Piece], style: Style, kind: str, rng: random.Random) -> list[Piece]:
    """Change characters piece by piece, so that spans stay exact."""
    if style.decomposed == kind:
        pieces = [(unicodedata.normalize("NFD", text), label) for text, label in pieces]
    if style.no_break:
        pieces = [(text.replace(" ", "\u00a0", 1) if rng.random() < 0.1 else text, label) for text, label in pieces]
    return pieces


def _document(name: str, language: str, pieces: list[Piece], *, crlf: bool) -> Document:
    if crlf:
        pieces = [(text.replace("\n", "\r\n"), label) for text, label in pieces]
    entities, position = [], 0
    for text, label in pieces:
        end = position + len(text)
        if label:
            entities.append(Entity(label, position, end, text))
        position = end
    return Document(name, "".join([text for text, _ in pieces]), tuple(entities), language)
