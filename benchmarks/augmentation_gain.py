"""Gold + a base model -> strict F1 on dev that each method of augmentation gains or loses, with intervals.

    python -m benchmarks.augmentation_gain --corpus ../shared/corpora/spaccc-es-train --language es \\
        --base ../shared/models/multilingual-e5-small-latin --affixes /usr/share/hunspell

One training per method on the train fold, with the same recipe, seed and number of steps; the dev fold has no version
of a case in train. `morphology` uses Enigma's dictionary and, with `--affixes`, hunspell's forms of the train fold's
mentions of one word; `paraphrase` the endpoint of `ENIGMA_LLM_BASE_URL`. The interval is a paired bootstrap over dev
documents: it covers the choice of the dev set, not the seed. Trains on a GPU if there is one. Prints counts, no text.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
from enigma_tasks.augmentation.dictionary import Dictionary, builtin_dictionary
from enigma_tasks.augmentation.inflection import Affixes, build_dictionary
from enigma_tasks.augmentation.morphology import augment_by_morphology
from enigma_tasks.augmentation.oversampling import oversample
from enigma_tasks.augmentation.paraphrase import ParaphraseCounts, paraphrase
from enigma_tasks.config import load_params, load_settings
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.corpora import CorpusReport, read_corpus
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.splitting import assign, case_of
from enigma_tasks.ner import scoring
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.training.train import Task, train
from enigma_tasks.params.members import MemberParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.config import Params
    from enigma_tasks.gold.augmented import Augmented

MEMBER = "e5-small"
METHODS = ("oversample", "morphology", "paraphrase")


def folds(documents: Sequence[Document], notes: int, params: Params) -> tuple[list[Document], list[Document]]:
    """(train, dev) of about `notes` documents, drawn by the seed, every case whole."""
    cases = [[documents[i] for i in case] for case in cases_under(documents, params)]
    random.Random(params.seed).shuffle(cases)
    while len(cases) > 2 and sum(map(len, cases)) > notes:
        cases.pop()
    by_key = {case_of(own).key: own for own in cases}
    shares = {"train": 1 - params.split.dev_share, "dev": params.split.dev_share}
    assigned = assign([case_of(own) for own in cases], shares, params.split.density_bins, params.seed)
    chosen: dict[str, list[Document]] = {"train": [], "dev": []}
    for key, fold in assigned.items():
        chosen[fold] += by_key[key]
    return chosen["train"], chosen["dev"]


def dictionary_for(training: Sequence[Document], language: str, affixes: Path | None) -> Dictionary:
    """Enigma's dictionary with the forms of the mentions of one word."""
    own = builtin_dictionary(language)
    if affixes is None:
        return own
    words = sorted({e.text.lower() for d in training for e in d.entities if e.text.isalpha()})
    made = build_dictionary([(word, word) for word in words], Affixes.load(affixes, language), language)
    return Dictionary((*own.entries, *made.entries))


def augmented(
    method: str, training: Sequence[Document], params: Params, language: str, affixes: Path | None
) -> list[Augmented]:
    """The train fold augmented by one method."""
    if method == "oversample":
        return list(oversample(training, params.augment.oversample))
    if method == "morphology":
        dictionary = dictionary_for(training, language, affixes)
        return list(augment_by_morphology(training, dictionary, params.augment.morphology, params.seed))
    settings = params.augment.paraphrase
    endpoint = LlmEndpoint(load_settings(), settings.model)
    return list(paraphrase(training, endpoint.complete, ParaphraseCounts(), settings.longest))


def scored(task: Task, training: Sequence[Document], dev: Sequence[Document]) -> list[scoring.Counts]:
    """Train, predict dev -> each dev document's counts, in order."""
    model, _ = train(task, training, dev)
    (found,) = Engine([model], 8192).predict(dev)
    labels = {t.label for t in task.entity_types}
    counts = []
    for document, predicted in zip(dev, found, strict=True):
        by_label = scoring.count([e for e in document.entities if e.label in labels], predicted)
        counts.append(sum(by_label.values(), scoring.Counts()))
    return counts


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--base", required=True, help="folder of the base model")
    parser.add_argument("--affixes", type=Path, help="folder of hunspell dictionaries")
    parser.add_argument("--entity", choices=[t.value for t in EntityType], help="default: all that are annotated")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS[:2]))
    parser.add_argument("--notes", type=int, default=120)
    parser.add_argument("--steps", type=int, default=150)
    arguments = parser.parse_args()
    params = load_params()
    entity = EntityType(arguments.entity) if arguments.entity else None
    documents = read_corpus(arguments.corpus, arguments.language, entity, CorpusReport())
    types = tuple(t for t in EntityType if any(t in d.annotated for d in documents))
    training, dev = folds(documents, arguments.notes, params)
    changes = {"base": arguments.base, "epochs": 1000, "max_steps": arguments.steps}
    recipe = params.member(MEMBER)
    assert isinstance(recipe, MemberParams)
    recipe = recipe.model_copy(update=changes)
    task = Task(arguments.language, types, "augmentation-gain", recipe, params.seed)
    names = ", ".join(t.value for t in types)
    print(f"{arguments.corpus.name} ({arguments.language}; {names}): {len(training)} train, {len(dev)} dev documents")
    print(f"{MEMBER}, {arguments.steps} steps; strict F1 in points")
    print(f"{'method':<12}{'new':>7}{'F1':>8}{'gain':>8}{'from':>8}{'to':>8}{'seconds':>9}")
    begun = time.perf_counter()
    before = scored(task, training, dev)
    f1 = 100 * sum(before, scoring.Counts()).strict.f1
    print(f"{'none':<12}{0:>7}{f1:>8.2f}{'':>24}{time.perf_counter() - begun:>9.0f}", flush=True)
    for method in arguments.methods:
        begun = time.perf_counter()
        made = augmented(method, training, params, arguments.language, arguments.affixes)
        after = scored(task, [*training, *(m.document for m in made)], dev)
        gain = scoring.paired_bootstrap(before, after, params.seed)
        f1 = 100 * sum(after, scoring.Counts()).strict.f1
        row = f"{method:<12}{len(made):>7}{f1:>8.2f}{100 * gain.difference:>+8.2f}"
        row += f"{100 * gain.interval.low:>+8.2f}{100 * gain.interval.high:>+8.2f}{time.perf_counter() - begun:>9.0f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
