"""`enigma augment`: a training corpus -> its documents and new ones derived from them, with provenance.jsonl."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
from enigma_tasks.artifacts import AUGMENTATION_DICTIONARY, PROVENANCE
from enigma_tasks.augmentation.dictionary import builtin_dictionary, format_dictionary, parse_dictionary
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

Result = tuple[list[Augmented], dict[str, Any]]
"""The new documents, and the method's figures for the report."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Write CORPUS and the new documents of one method to `--out`, in the layout of CORPUS.

    Documents of an earlier augmentation are copied with their provenance and not augmented again.

    Raises:
        UsageError: no corpus of this language, a split one (only its train may be augmented), an unknown language,
            `--out` is the corpus or has other content, options of another method, or text may not be sent to the
            endpoint.
        DataError: the corpus, its provenance, the dictionary or the term list is malformed.
        ServiceError: the endpoint failed after all attempts; replies so far are in the cache.
    """
    corpus, out = Path(arguments.corpus), Path(arguments.out)
    language = params.require_language(arguments.language)
    _check_places(corpus, out)
    dictionary = _dictionary(arguments, language)
    documents = read_corpus(corpus, language)
    if unannotated := next((d for d in documents if not d.annotated), None):
        raise DataError(unannotated.id, "text_without_annotation")
    originals = [d for d in documents if not is_augmented(d.id)]
    if not any(d.entities for d in originals):
        raise UsageError(f"{corpus} has no mention to augment")
    augmented, figures = _methods(params, settings, dictionary)[arguments.method](originals)
    rows = [*_earlier(corpus, documents), *map(Provenance.of, augmented)]
    subfolder = language if _has_language_folders(corpus, params) else ""
    part = _empty_part(out)
    write_corpus([*documents, *(a.document for a in augmented)], part / subfolder, shape_of(corpus))
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
        "made": len(augmented),
        "parents": len({a.parents for a in augmented}),
        "changes": sum(a.changes for a in augmented),
        "times": round((len(documents) + len(augmented)) / len(documents), 3),
        **figures,
    }


def _methods(
    params: Params, settings: Settings, dictionary: Dictionary | None
) -> dict[str, Callable[[Sequence[Document]], Result]]:
    """Method -> a function from documents to new documents."""

    def oversampled(documents: Sequence[Document]) -> Result:
        return list(oversample(documents, params.augment.oversample)), {}

    def inflected(documents: Sequence[Document]) -> Result:
        if dictionary is None:
            raise UsageError("morphology needs a dictionary")
        augmented = list(augment_by_morphology(documents, dictionary, params.augment.morphology, params.seed))
        return augmented, {"dictionary": {"entries": len(dictionary.entries), "families": dictionary.families}}

    def paraphrased(documents: Sequence[Document]) -> Result:
        endpoint = LlmEndpoint(settings, params.augment.paraphrase.model)
        counts = ParaphraseCounts()
        on_threads = partial(_on_threads, settings.llm.concurrency)
        longest = params.augment.paraphrase.longest
        augmented = list(paraphrase(documents, endpoint.complete, counts, longest, on_threads))
        sentences = {"accepted": counts.accepted, "dropped": dict(sorted(counts.dropped.items()))}
        return augmented, {"sentences": sentences, "usage": asdict(endpoint.usage)}

    return {"oversample": oversampled, "morphology": inflected, "paraphrase": paraphrased}


def _on_threads(threads: int, function: Callable[[Document], Any], documents: Iterable[Document]) -> Iterable[Any]:
    return in_order(function, documents, threads)


def _check_places(corpus: Path, out: Path) -> None:
    if corpus.is_dir() and is_split(corpus):
        raise UsageError(f"{corpus} contains train/ and dev/: augment its train/ only")
    if out.resolve() == corpus.resolve():
        raise UsageError("--out is the corpus itself")
    if out.exists() and any(out.iterdir()) and not (out / PROVENANCE).is_file():
        raise UsageError(f"--out: {out} is not empty and no earlier augmentation")


def _dictionary(arguments: argparse.Namespace, language: Language) -> Dictionary | None:
    """From `--dictionary`, built from `--terms` and `--affixes`, or Enigma's own; None if the method needs none."""
    given = [name for name in ("dictionary", "terms", "affixes") if getattr(arguments, name)]
    if arguments.method != "morphology":
        if given:
            raise UsageError(f"--{given[0]} is only for --method morphology")
        return None
    if given == ["dictionary"]:
        return parse_dictionary(_read(arguments.dictionary), "dictionary")
    if given == ["terms", "affixes"]:
        terms = read_terms(_read(arguments.terms), "terms")
        return build_dictionary(terms, Affixes.load(Path(arguments.affixes), language), language)
    if given:
        raise UsageError("give --dictionary, or --terms with --affixes, or none of them")
    try:
        return builtin_dictionary(language)
    except DataError:
        raise UsageError(f"Enigma has no dictionary for {language}: give --dictionary") from None


def _read(path: str) -> str:
    if not Path(path).is_file():
        raise UsageError(f"{path} is not a file")
    return read_text(Path(path))


def _earlier(corpus: Path, documents: Sequence[Document]) -> list[Provenance]:
    """The provenance of documents from an earlier augmentation."""
    file = corpus / PROVENANCE
    if not file.is_file():
        return []
    ids = {(d.language, d.id) for d in documents}
    return [row for row in parse_provenance(read_text(file), PROVENANCE) if (row.language, row.id) in ids]


def _has_language_folders(corpus: Path, params: Params) -> bool:
    """Whether the corpus has a folder for each language, so that the output needs one too."""
    release = "MultiClinNER-"
    folders = [p.name for p in corpus.iterdir() if p.is_dir()] if corpus.is_dir() else []
    return corpus.name.startswith(release) or any(n.startswith(release) or params.language(n) for n in folders)


def _empty_part(out: Path) -> Path:
    """An empty folder beside `out`, which replaces it once everything is written."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part
