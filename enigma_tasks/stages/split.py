"""`enigma split`: a corpus -> train/, dev/ (and test/), all versions of a case in the same one, and split.json."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.artifacts import FOLDS, RETIRED, SPLIT_CARD
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.gold.augmented import refuse_augmented
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.folds import shape_of, write_fold
from enigma_tasks.gold.splitting import assign, case_of, document_key

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:  # noqa: ARG001
    """Split CORPUS into `--out`, with new folds or with the frozen dev and test of an earlier split.

    Raises:
        UsageError: no corpus, too few cases in it, `--out` has other content, or `--frozen` is no split.
        DataError: the corpus breaks a rule of the formats (`enigma validate` lists all defects), or has an augmented
            document.
    """
    corpus, out = Path(arguments.corpus), Path(arguments.out)
    frozen = _frozen(Path(arguments.frozen)) if arguments.frozen else {}
    if out.exists() and any(out.iterdir()) and not (out / SPLIT_CARD).is_file():
        raise UsageError(f"--out: {out} is not empty and no earlier split")
    documents = read_corpus(corpus)
    if not documents:
        raise UsageError(f"{corpus} has no document")
    refuse_augmented(documents, "a corpus to be split: augment its train afterwards")
    frozen_documents = [d for fold in frozen.values() for d in fold]
    all_documents = [*frozen_documents, *documents]
    cases = [[all_documents[i] for i in case] for case in cases_under(all_documents, params)]
    folds, left_out = _with_frozen(frozen, cases) if frozen else (_new_folds(cases, params), [])
    card = _card(folds, cases, left_out, params)
    card["frozen"] = sorted(frozen)
    _write(folds, card, out, shape_of(corpus))
    return {
        "out": arguments.out,
        "seed": params.seed,
        "documents": len(documents),
        "cases": len(cases),
        "cases_of_several": len(card["cases"]),
        "left_out": len(left_out),
        "folds": [{"fold": name, **figures} for name, figures in card["folds"].items()],
    }


def _new_folds(cases: Sequence[Sequence[Document]], params: Params) -> dict[str, list[Document]]:
    """The documents of each fold; raises UsageError if one would be empty."""
    dev, test = params.split.dev_share, params.split.test_share
    shares = {name: share for name, share in zip(FOLDS, (1 - dev - test, dev, test), strict=True) if share > 0}
    by_key = {case_of(case).key: case for case in cases}
    assigned = assign([case_of(case) for case in cases], shares, params.split.density_bins, params.seed)
    folds: dict[str, list[Document]] = {name: [] for name in shares}
    for key, fold in assigned.items():
        folds[fold] += by_key[key]
    if empty := [name for name, documents in folds.items() if not documents]:
        raise UsageError(f"{len(cases)} cases are too few to be split: none is left for {', '.join(empty)}")
    return folds


def _with_frozen(
    frozen: Mapping[str, Sequence[Document]], cases: Sequence[Sequence[Document]]
) -> tuple[dict[str, list[Document]], list[str]]:
    """The frozen sets unchanged, every other case in train, and the keys of the documents that are left out.

    A document is left out if it is a version of a frozen case but not frozen itself: it must be neither in train nor
    in dev or test.
    """
    held = {id(d) for fold in frozen.values() for d in fold}
    same = {(document_key(d), d.text) for fold in frozen.values() for d in fold}
    train: list[Document] = []
    left_out: list[str] = []
    for case in cases:
        if any(id(d) in held for d in case):
            left_out += [document_key(d) for d in case if id(d) not in held and (document_key(d), d.text) not in same]
        else:
            train += case
    folds = {name: list(fold) for name, fold in frozen.items() if name != RETIRED}
    return {"train": train, **folds}, sorted(left_out)


def _frozen(folder: Path) -> dict[str, list[Document]]:
    """The dev and test sets of an earlier split, and documents that were in them and are in no fold any more."""
    if not (folder / SPLIT_CARD).is_file():
        raise UsageError(f"--frozen: {folder} was not written by `enigma split`")
    frozen = {name: read_corpus(folder / name) for name in (*FOLDS[1:], RETIRED) if (folder / name).is_dir()}
    for name, documents in frozen.items():
        refuse_augmented(documents, name)
    return frozen


def _card(
    folds: Mapping[str, Sequence[Document]],
    cases: Sequence[Sequence[Document]],
    left_out: Sequence[str],
    params: Params,
) -> dict[str, Any]:
    """split.json: ids, counts and digests; no text."""
    fold_of = {id(d): name for name, own in folds.items() for d in own}
    return {
        "seed": params.seed,
        "params": params.split.model_dump(mode="json"),
        "folds": {name: _figures(own, cases, fold_of, name) for name, own in folds.items()},
        "documents": {name: sorted(document_key(d) for d in own) for name, own in folds.items()},
        "cases": sorted(sorted({document_key(d) for d in own}) for own in cases if len(own) > 1),
        "left_out": list(left_out),
    }


def _figures(
    documents: Sequence[Document], cases: Sequence[Sequence[Document]], fold_of: Mapping[int, str], name: str
) -> dict[str, Any]:
    characters = sum(len(d.text) for d in documents)
    labels = Counter(e.label for d in documents for e in d.entities)
    rows = sorted(
        json.dumps([document_key(d), d.text, sorted(d.annotated), [[e.label, *e.span] for e in d.entities]])
        for d in documents
    )
    return {
        "documents": len(documents),
        "cases": sum(any(fold_of.get(id(d)) == name for d in own) for own in cases),
        **{t.value: labels[t.label] for t in EntityType},
        "spans_per_1000_characters": round(1000 * labels.total() / max(characters, 1), 2),
        "digest": hashlib.sha256("\n".join(rows).encode()).hexdigest(),
    }


def _write(folds: Mapping[str, Sequence[Document]], card: dict[str, Any], out: Path, shape: Any) -> None:
    """Write the split atomically: beside `out` first, then in place of an earlier split."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for name, documents in folds.items():
        write_fold(documents, part / name, shape)
    (part / SPLIT_CARD).write_text(json.dumps(card, indent=1, sort_keys=True) + "\n")
    if out.exists():
        shutil.rmtree(out)
    part.rename(out)
