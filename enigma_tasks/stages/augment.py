"""`enigma augment`: a training corpus -> the same and new documents made of it, with provenance.jsonl beside them."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
from enigma_tasks.artifacts import AUGMENTATION_DICTIONARY, PROVENANCE
from enigma_tasks.augmentation.dictionary import format_dictionary, own_dictionary, parse_dictionary
from enigma_tasks.augmentation.inflection import Affixes, build_dictionary, read_terms
from enigma_tasks.augmentation.morphology import augment_by_morphology
from enigma_tasks.augmentation.oversampling import oversample
from enigma_tasks.augmentation.paraphrase import ParaphraseCounts, paraphrase
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.corpora import read_corpus, read_text, write_corpus
from enigma_tasks.gold.augmented import Augmented, Provenance, format_provenance, is_augmented, parse_provenance
from enigma_tasks.gold.folds import is_split, shape_of
from enigma_tasks.threads import in_order

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from enigma_tasks.augmentation.dictionary import Dictionary
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document, Language

Made = tuple[list[Augmented], dict[str, Any]]
"""The new documents, and what the report says of the method."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write CORPUS and what one method makes of it to `--out`, in the shape of CORPUS.

    Documents that were augmented before are taken along with their provenance, and nothing is made of them.

    Raises:
        UsageError: no corpus of this language, a split one (only its train may be augmented), an unknown language,
            `--out` is the corpus or holds something else, options of another method, or text may not go to
            the endpoint.
        DataError: the corpus, its provenance, the dictionary or the term list is malformed.
        ServiceError: the endpoint failed after all attempts; answers so far are in the cache.
    """
    corpus, out = Path(arguments.corpus), Path(arguments.out)
    language = params.require_language(arguments.language)
    _check_places(corpus, out)
    dictionary = _dictionary(arguments, language)
    documents = read_corpus(corpus, language)
    if bare := next((d for d in documents if not d.annotated), None):
        raise DataError(bare.id, "text_without_annotation")
    originals = [d for d in documents if not is_augmented(d.id)]
    if not any(d.entities for d in originals):
        raise UsageError(f"{corpus} holds no mention that anything could be made of")
    made, figures = _methods(params, settings, dictionary)[arguments.method](originals)
    rows = [*_earlier(corpus, documents), *map(Provenance.of, made)]
    place = language if _names_languages(corpus, params) else ""
    part = _begun(out)
    write_corpus([*documents, *(m.document for m in made)], part / place, shape_of(corpus))
    (part / PROVENANCE).write_text(format_provenance(rows))
    if dictionary is not None:
        (part / AUGMENTATION_DICTIONARY).write_text(format_dictionary(dictionary), encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    part.rename(out)
    return {
        "out": arguments.out,
        "language": language,
        "method": arguments.method,
        "documents": len(documents),
        "made": len(made),
        "parents": len({m.parents for m in made}),
        "changes": sum(m.changes for m in made),
        "times": round((len(documents) + len(made)) / len(documents), 3),
        **figures,
    }


def _methods(
    params: Params, settings: Settings, dictionary: Dictionary | None
) -> dict[str, Callable[[Sequence[Document]], Made]]:
    """Method -> what makes documents of documents."""

    def oversampled(documents: Sequence[Document]) -> Made:
        return list(oversample(documents, params.augment.oversample)), {}

    def inflected(documents: Sequence[Document]) -> Made:
        if dictionary is None:
            raise UsageError("morphology needs a dictionary")
        made = list(augment_by_morphology(documents, dictionary, params.augment.morphology, params.seed))
        return made, {"dictionary": {"entries": len(dictionary.entries), "families": dictionary.families}}

    def paraphrased(documents: Sequence[Document]) -> Made:
        endpoint = LlmEndpoint(settings, params.augment.paraphrase.model)
        counts = ParaphraseCounts()
        on_threads = partial(_on_threads, settings.llm.concurrency)
        made = list(paraphrase(documents, endpoint.complete, counts, params.augment.paraphrase.longest, on_threads))
        sentences = {"accepted": counts.accepted, "dropped": dict(sorted(counts.dropped.items()))}
        return made, {"sentences": sentences, "usage": asdict(endpoint.usage)}

    return {"oversample": oversampled, "morphology": inflected, "paraphrase": paraphrased}


def _on_threads(threads: int, function: Callable[[Document], Any], documents: Iterable[Document]) -> Iterable[Any]:
    return in_order(function, documents, threads)


def _check_places(corpus: Path, out: Path) -> None:
    if corpus.is_dir() and is_split(corpus):
        raise UsageError(f"{corpus} holds train/ and dev/: augment its train/ only")
    if out.resolve() == corpus.resolve():
        raise UsageError("--out is the corpus itself")
    if out.exists() and any(out.iterdir()) and not (out / PROVENANCE).is_file():
        raise UsageError(f"--out: {out} holds something that is no earlier augmentation")


def _dictionary(arguments: argparse.Namespace, language: Language) -> Dictionary | None:
    """From `--dictionary`, built of `--terms` and `--affixes`, or our own; None where the method needs none."""
    given = [name for name in ("dictionary", "terms", "affixes") if getattr(arguments, name)]
    if arguments.method != "morphology":
        if given:
            raise UsageError(f"--{given[0]} goes with --method morphology")
        return None
    if given == ["dictionary"]:
        return parse_dictionary(_read(arguments.dictionary), "dictionary")
    if given == ["terms", "affixes"]:
        terms = read_terms(_read(arguments.terms), "terms")
        return build_dictionary(terms, Affixes(Path(arguments.affixes), language), language)
    if given:
        raise UsageError("give --dictionary, or --terms with --affixes, or none of them")
    try:
        return own_dictionary(language)
    except DataError:
        raise UsageError(f"there is no dictionary of our own for {language}: give --dictionary") from None


def _read(path: str) -> str:
    if not Path(path).is_file():
        raise UsageError(f"{path} is no file")
    return read_text(Path(path))


def _earlier(corpus: Path, documents: Sequence[Document]) -> list[Provenance]:
    """Where the documents come from that were augmented before."""
    file = corpus / PROVENANCE
    if not file.is_file():
        return []
    there = {(d.language, d.id) for d in documents}
    return [row for row in parse_provenance(read_text(file), PROVENANCE) if (row.language, row.id) in there]


def _names_languages(corpus: Path, params: Params) -> bool:
    """Whether a language's folder lies in the corpus, so that one belongs into what is written too."""
    release = "MultiClinNER-"
    inside = [p.name for p in corpus.iterdir() if p.is_dir()] if corpus.is_dir() else []
    return corpus.name.startswith(release) or any(n.startswith(release) or params.language(n) for n in inside)


def _begun(out: Path) -> Path:
    """An empty folder beside `out`, to take its place when all is written."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part
