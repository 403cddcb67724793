"""Compiles templates to steps that append pieces to a note, so that the offsets of mentions are known.

Slots of a template:
- `{disease}`, `{procedure}`, `{symptom}`: a term, marked; `{test}`, `{act}`: a procedure that examines, that treats;
- `{disease:the}` adds the lexicon's word that agrees with the term before it; `{disease:gen}` uses another form;
  both may be combined: `{disease:of_the:gen}`;
- `{disease!}`: a term that is not marked, as it is not about the patient (a leaflet, a clinic's name, a relative);
- `{disease^}`: in capitals; `{disease+}`: the long form and its abbreviation in brackets, both marked;
- `{~a/b}`: by the patient's sex; `{n:2:9}`: a whole number; `{d:0.5:2.5}`: with as many decimals as its bounds;
- `{age}`, `{admitted}`, `{discharged}`, `{date}` (during the stay), `{past}` (before it), `{year}`, `{time}`;
- `{word}`: one of the lexicon's list of that name, itself a template.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import date

from enigma_tasks.documents import EntityType
from enigma_tasks.synthetic.draft import Draft
from enigma_tasks.synthetic.lexicon import Lexicon, load_lexicon

SWAP_SHARE = 1 / 60
"""Share of mentions with two letters swapped, as typing errors."""


POOLS = {t.value: t.label for t in EntityType} | {"test": "test", "act": "act"}
"""Slot -> key of `Lexicon.terms`."""
Step = Callable[[Draft], None]
Line = tuple[Step, ...]


def sentence(draft: Draft, line: Line) -> None:
    """Append one template with its first letter in capitals."""
    draft.used.clear()
    start = len(draft.pieces)
    for step in line:
        step(draft)
    draft.capitalise(start)


@functools.cache
def compile_line(template: str, language: str) -> Line:
    """The steps of one template. Raises ValueError for an unknown slot."""
    parts = re.split(r"\{([^{}]*)\}", template)
    steps: list[Step] = []
    for position, part in enumerate(parts):
        if position % 2:
            step = _slot(part, load_lexicon(language))
            steps.append(functools.partial(_opening, step) if parts[position - 1].endswith(". ") else step)
        elif part:
            steps.append(_literal(part))
    return tuple(steps)


def _opening(step: Step, draft: Draft) -> None:
    """Run a slot at the beginning of a sentence inside a template."""
    start = len(draft.pieces)
    step(draft)
    draft.capitalise(start)


def _literal(text: str) -> Step:
    if text.startswith("."):
        return lambda draft: draft.end_with(text)
    piece = (text, "")
    return lambda draft: draft.pieces.append(piece)


def _slot(slot: str, lexicon: Lexicon) -> Step:
    if slot.startswith("~"):
        variants = [(v, "") for v in slot[1:].split("/")]
        if len(variants) != 2:
            raise ValueError(f"{lexicon.language}: slot {slot} needs a/b")
        return lambda draft: draft.pieces.append(variants[draft.sex])
    word, *options = slot.split(":")
    kind = word.rstrip("!^+")
    if POOLS.get(kind) in lexicon.terms:
        return _term(POOLS[kind], word[len(kind) :], options, lexicon)
    if word in {"n", "d"} and len(options) == 2:
        return _number(*options)
    if word in FACTS:
        return _fact(FACTS[word])
    if word in lexicon.lists and not options:
        choices = [compile_line(item, lexicon.language) for item in lexicon.lists[word]]
        return functools.partial(_one_of, choices)
    raise ValueError(f"{lexicon.language}: unknown slot {slot}")


def _one_of(choices: list[Line], draft: Draft) -> None:
    for step in choices[int(draft.rng.random() * len(choices))]:
        step(draft)


def _number(low: str, high: str) -> Step:
    bottom, width = float(low), float(high) - float(low)
    decimals = len(low.partition(".")[2])

    def write(draft: Draft) -> None:
        number = f"{bottom + draft.rng.random() * width:.{decimals}f}"
        draft.pieces.append((number.replace(".", draft.decimal), ""))

    return write


def _during(draft: Draft) -> str:
    return draft.day(draft.admitted + int(draft.rng.random() * draft.stay))


def _before(draft: Draft) -> str:
    return draft.day(draft.admitted - 20 - int(draft.rng.random() * 1500))


def _year(draft: Draft) -> str:
    return str(date.fromordinal(draft.admitted).year - 1 - int(draft.rng.random() * 20))


def _time(draft: Draft) -> str:
    minutes = int(draft.rng.random() * 24 * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"


FACTS: dict[str, Callable[[Draft], str]] = {
    "age": lambda draft: str(draft.age),
    "admitted": lambda draft: draft.day(draft.admitted),
    "discharged": lambda draft: draft.day(draft.admitted + draft.stay),
    "date": _during,
    "past": _before,
    "year": _year,
    "time": _time,
}


def _fact(value: Callable[[Draft], str]) -> Step:
    return lambda draft: draft.pieces.append((value(draft), ""))


def _term(pool: str, marks: str, options: list[str], lexicon: Lexicon) -> Step:
    before: dict[str, str] | None = None
    form = 0
    for option in options:
        if option in lexicon.forms:
            form = lexicon.forms.index(option)
        elif option in lexicon.before:
            before = lexicon.before[option]
        else:
            raise ValueError(f"{lexicon.language}: {option} is neither a form nor a word before terms")
    if marks == "+":
        return functools.partial(_pair, pool)
    if marks not in {"", "!", "^"}:
        raise ValueError(f"{lexicon.language}: unknown mark {marks}")
    return functools.partial(_mention, pool, marks, before, form)


def _pair(label: str, draft: Draft) -> None:
    pairs = draft.lexicon.pairs[label]
    long, short = pairs[int(draft.rng.random() * len(pairs))]
    draft.pieces += [(long, label), (" (", ""), (short, label), (")", "")]


def _mention(pool: str, marks: str, before: dict[str, str] | None, form: int, draft: Draft) -> None:
    term = draft.pick(pool)
    surface = term.forms[form]
    roll = draft.rng.random()
    if term.endings and roll > 0.5 and marks != "!":
        surface = f"{surface} {term.endings[int((roll - 0.5) * 2 * len(term.endings))]}"
    if roll < SWAP_SHARE:
        surface = _swapped(surface, draft)
    if marks == "^":
        surface = surface.upper()
    article = before[term.kind] if before else ""
    if draft.lexicon.euphony and draft.pieces:
        _adapt(draft, article or surface)
    if article:
        draft.pieces.append((article, ""))
    draft.pieces.append((surface, "" if marks == "!" else term.label))


def _swapped(surface: str, draft: Draft) -> str:
    """A longer mention with two inner letters swapped."""
    at = 1 + int(draft.rng.random() * (len(surface) - 3))
    pair = surface[at : at + 2]
    return surface[:at] + pair[::-1] + surface[at + 2 :] if len(surface) > 6 and pair.isalpha() else surface


def _adapt(draft: Draft, following: str) -> None:
    """Change the last word by the lexicon's rules of euphony."""
    text, label = draft.pieces[-1]
    first = following.lower()
    for written, changed, starts, exceptions in draft.lexicon.euphony:
        if text.endswith(written) and first.startswith(starts) and not first.startswith(exceptions):
            draft.pieces[-1] = (text[: -len(written)] + changed, label)
            return
