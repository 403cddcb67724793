"""Notes -> strict precision and recall with and without the tokenizer-artifact fix (paper, section 3.2 and Table 2).

    OMP_NUM_THREADS=2 python -m benchmarks.artifact_ablation --base ../shared/models/multilingual-e5-small-latin

The published XLM-R tokenizer splits at white space before it marks word beginnings, so a single "▁" often overlaps the
first letter of the next piece. `--base` may have the other form of tokenizer, without such overlaps, so a copy of it
gets the published form. Three models with softmax heads, as in the paper, all else equal:

without   a sub-word carries its own tag; each of two overlapping ones that begin where a mention begins is a B
with      the same, but the shorter of two that overlap has no tag in training and inference; a mention of one
          character, or of two that are not upper case, is dropped
words     Enigma's method: tags on words, not on sub-words, and the same rules for short mentions
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from benchmarks.engine_against_peers import sample
from benchmarks.postprocess_on_dev import OFF
from enigma_tasks.config import load_params
from enigma_tasks.documents import EntityType
from enigma_tasks.ner import scoring
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.text.alignment import BEGIN, INSIDE, Alignment, IntArray, Span, Tagging, align, tag_words
from enigma_tasks.ner.text.tokenizer import TextTokenizer, TokenisedText
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from enigma_tasks.documents import Document

SHORT = {"min_characters": 2, "short_upper_case": True}


class SubWordTokenizer(TextTokenizer):
    """Every sub-word is a word; `fixed`: except artifacts, which belong to the sub-word that they overlap."""

    fixed = False

    def encode(self, texts: Sequence[str]) -> Iterator[TokenisedText]:
        """As `TextTokenizer.encode`."""
        for text in texts:
            encoding = self._backend.encode(text, add_special_tokens=False)
            offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            by_word = align(text, offsets)
            visible = by_word.word_of >= 0
            counts = visible & by_word.scored if self.fixed else visible
            words = offsets[counts].astype(np.int32)
            # An artifact stands before the sub-word that it overlaps.
            word_of = np.where(visible, np.minimum(np.cumsum(counts) - counts, max(0, len(words) - 1)), -1)
            alignment = Alignment(words, word_of.astype(np.int32), counts, by_word.uncovered)
            ids = np.array(encoding.ids, dtype=np.int32)
            yield TokenisedText(len(text), ids, alignment, len(text))


class FixedTokenizer(SubWordTokenizer):
    """With the fix."""

    fixed = True


def tag_by_offset(words: IntArray, spans: Iterable[Span]) -> Tagging:
    """B where a sub-word begins with the mention, I further inside, independent of the neighbours."""
    given = list(spans)
    tagging = tag_words(words, given)
    for start, _ in given:
        again = np.flatnonzero(words[:, 0] == start)
        tagging.tags[again[tagging.tags[again] == INSIDE]] = BEGIN
    return tagging


def published_form(base: Path, folder: Path) -> Path:
    """A copy of the base model whose tokenizer splits at white space first, as XLM-R's published file does."""
    folder.mkdir()
    for path in base.iterdir():
        shutil.copyfile(path, folder / path.name)
    file = folder / "tokenizer.json"
    tree = json.loads(file.read_text(encoding="utf-8"))
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    tree["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    file.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return folder


def overlapping(tokenizer: TextTokenizer, documents: Sequence[Document]) -> tuple[int, int]:
    """Number of artifacts, and of those on the first character of a mention."""
    every = beginning = 0
    for document, text in zip(documents, tokenizer.encode([d.text for d in documents]), strict=True):
        artifact = (text.alignment.word_of >= 0) & ~text.alignment.scored
        every += int(artifact.sum())
        starts = {e.char_start for e in document.entities}
        covered = text.alignment.words[text.alignment.word_of[artifact], 0].tolist()
        beginning += sum(start in starts for start in covered)
    return every, beginning


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpora/spaccc-es-train"))
    parser.add_argument("--training-notes", type=int, default=120)
    parser.add_argument("--test-notes", type=int, default=60)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    documents = sample(arguments.corpus, arguments.training_notes + arguments.test_notes + 10, arguments.seed)
    test, dev, training = (
        documents[: arguments.test_notes],
        documents[arguments.test_notes : arguments.test_notes + 10],
        documents[arguments.test_notes + 10 :],
    )
    random.Random(arguments.seed).shuffle(training)
    with tempfile.TemporaryDirectory() as scratch:
        base = published_form(arguments.base, Path(scratch) / "published-form")
        changes = {"base": str(base), "head": "softmax", "epochs": arguments.epochs}
        member = load_params().member("e5-small")
        assert isinstance(member, MemberParams)
        member = member.model_copy(update=changes)
        arms = {
            "without": (SubWordTokenizer, tag_by_offset, OFF),
            "with": (FixedTokenizer, tag_by_offset, OFF.model_copy(update=SHORT)),
            "words": (TextTokenizer, tag_words, OFF.model_copy(update=SHORT)),
        }
        print(f"{'':<10}{'type':<11}{'precision':>10}{'recall':>10}{'F1':>10}{'spans':>8}{'gold':>8}{'1-2 long':>10}")
        for name, (tokenizer, tagger, rules) in arms.items():
            recipe = member.model_copy(update={"postprocess": rules})
            task = Task("es", tuple(EntityType), f"artifact-{name}", recipe, arguments.seed)
            with (
                patch("enigma_tasks.ner.training.train.TextTokenizer", tokenizer),
                patch("enigma_tasks.ner.batching.tag_words", tagger),
            ):
                model, _ = train(task, training, dev)
            (found,) = Engine([model], 4096).predict(test)
            if name == "words":
                every, beginning = overlapping(model.tokenizer, [*training, *test])
                print(
                    f"{every} overlapping sub-words in {len(training) + len(test)} notes, {beginning} begin a mention"
                )
            print_scores(name, test, found)


def print_scores(name: str, test: Sequence[Document], found: Sequence[Sequence[Any]]) -> None:
    """One line per entity type and one for all."""
    gold = {d.id: d.entities for d in test}
    counted = scoring.count_documents(gold, {d.id: f for d, f in zip(test, found, strict=True)})
    short: dict[str, int] = {}
    for entities in found:
        for e in entities:
            for key in (e.label, "all"):
                short[key] = short.get(key, 0) + (len(e.text) <= 2)
    for label, counts in {**scoring.by_label(counted), "all": scoring.total(counted)}.items():
        s = counts.strict
        print(
            f"{name:<10}{label:<11}{s.precision:>10.4f}{s.recall:>10.4f}{s.f1:>10.4f}{s.predicted:>8}{s.gold:>8}"
            f"{short.get(label, 0):>10}"
        )


if __name__ == "__main__":
    main()
