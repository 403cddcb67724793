"""Groups documents into cases: versions of one patient's case, which belong in one fold.

Two documents are of one case if their ids are the same but for a language or entity type, if their texts are equal, or
if they are near-duplicates by MinHash and locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3). Translations are found by their ids only.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING

import numpy as np
from datasketch import MinHash, MinHashLSH

from enigma_tasks.documents import Document, EntityType
from enigma_tasks.formats.corpora import file_id
from enigma_tasks.languages.rules import language_rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.config import Params

SHINGLE_WORDS = 3
PERMUTATIONS = 128
_STRICTEST_INDEX = 0.95  # the most that 128 permutations can distinguish; candidates are confirmed exactly
_WEIGHTS = (0.02, 0.98)  # a missed copy leaks dev into train; a false candidate only costs its exact check
_BUCKET = 50
"""Texts that one bucket of the index holds."""
_WORD = re.compile(r"\w+")
_PARTS = re.compile(r"[-_.~+]+")


def case_id(document_id: str, languages: Collection[str]) -> str:
    """The id without the parts that name a language or an entity type.

    `multiclinner-es-train-0012` and `multiclinner-cz-train-0012` are one case, and so are `7_disease` and `7_symptom`.

    Args:
        document_id: as from `read_corpus`.
        languages: every code and alias that an id may contain, in lower case.
    """
    parts = _PARTS.split(file_id(document_id))
    kept = [p for p in parts if p.lower() not in languages and p.lower() not in set(EntityType)]
    return "-".join(kept) or document_id


def cases_under(documents: Sequence[Document], params: Params) -> list[list[int]]:
    """`group_cases` with the languages and the similarity of params.yaml."""
    languages = frozenset(params.languages).union(*(language_rules(code).aliases for code in params.languages))
    return group_cases(documents, languages, params.split.similarity)


def group_cases(documents: Sequence[Document], languages: Collection[str], similarity: float) -> list[list[int]]:
    """Indices into `documents`, a list for each case, in order of its first document.

    Grouping is transitive: if the second text is like the first and the third like the second, all are one case.

    Args:
        documents: of any languages and types.
        languages: see `case_id`.
        similarity: Jaccard similarity of word triples from which two texts are near-duplicates, in (0, 1].
    """
    parents = list(range(len(documents)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    first_by_id: dict[str, int] = {}
    first_by_text: dict[bytes, int] = {}
    texts: list[int] = []
    for i, document in enumerate(documents):
        parents[i] = root(first_by_id.setdefault(case_id(document.id, languages), i))
        same_text = first_by_text.setdefault(hashlib.sha256(document.text.encode()).digest(), i)
        if same_text == i:
            texts.append(i)
        else:
            parents[root(i)] = root(same_text)
    for i, candidates, shingles in _candidates([documents[k].text for k in texts], similarity):
        for j in candidates:
            # those that are of the case already need no comparison
            if root(texts[i]) != root(texts[j]) and _jaccard(shingles[i], shingles[j]) >= similarity:
                parents[root(texts[i])] = root(texts[j])
    groups: dict[int, list[int]] = {}
    for i in range(len(documents)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def _candidates(
    texts: Sequence[str], similarity: float
) -> Iterator[tuple[int, Iterable[int], Sequence[NDArray[np.uint32]]]]:
    """For each text that has words the earlier ones that may be of at least this similarity; and `_shingles` of all.

    A bucket holds the first texts only, so that the comparisons grow with the texts, whatever they have in common. Two
    texts that are so similar share most of their buckets, and with them those that few others are in.
    """
    bands = MinHashLSH(threshold=min(similarity, _STRICTEST_INDEX), num_perm=PERMUTATIONS, weights=_WEIGHTS)
    buckets: dict[tuple[int, bytes], list[int]] = {}
    shingles: list[NDArray[np.uint32]] = []
    blank = MinHash(num_perm=PERMUTATIONS, hashfunc=int)  # copied below, as drawing permutations is slow
    for i, text in enumerate(texts):
        shingles.append(_shingles(text))
        if not len(shingles[i]):
            continue
        signature = blank.copy()
        signature.update_batch(shingles[i])
        values = signature.hashvalues
        own = [
            buckets.setdefault((band, values[band * bands.r : (band + 1) * bands.r].tobytes()), [])
            for band in range(bands.b)
        ]
        yield i, dict.fromkeys(j for bucket in own for j in bucket), shingles
        for bucket in own:
            if len(bucket) < _BUCKET:
                bucket.append(i)


def _shingles(text: str) -> NDArray[np.uint32]:
    """Distinct checksums of the text's word triples, sorted; of all its words if they are fewer than three."""
    words = [w.encode() for w in _WORD.findall(text.casefold())]
    count = max(len(words) - SHINGLE_WORDS + 1, min(len(words), 1))
    sums = {zlib.crc32(b" ".join(words[i : i + SHINGLE_WORDS])) for i in range(count)}
    return np.array(sorted(sums), dtype=np.uint32)


def _jaccard(a: NDArray[np.uint32], b: NDArray[np.uint32]) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
