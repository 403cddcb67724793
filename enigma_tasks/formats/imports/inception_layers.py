"""The layers of a CAS -> mentions: which layers are text structure, which hold our labels, and which refuse a document.

Text structure is known by the exact names of its layers (DKPro Core's type systems for segmentation, metadata, parts of
speech, morphology, syntax, XML and PDF; UIMA's and INCEpTION's own). Every other layer that covers text is either
understood or refuses its document, and so is one of text structure in which an annotator has put our labels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import LABELS, canonical_label
from enigma_tasks.errors import DataError
from enigma_tasks.formats.imports.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DKPRO = "de.tudarmstadt.ukp.dkpro.core.api."
METADATA = f"{DKPRO}metadata.type.DocumentMetaData"
CAS_METADATA = "de.tudarmstadt.ukp.clarin.webanno.api.type.CASMetadata"
CHUNK = f"{DKPRO}syntax.type.chunk.Chunk"


def _names(package: str, words: str) -> Iterator[str]:
    return (f"{package}.{word}" for word in words.split())


WORDS = frozenset(
    {
        *("uima.tcas.DocumentAnnotation", "org.apache.uima.examples.SourceDocumentInformation"),
        *(METADATA, CAS_METADATA),
        *_names(f"{DKPRO}metadata.type", "TagsetDescription TagDescription MetaDataStringField"),
        *_names(
            f"{DKPRO}segmentation.type",
            "Token TokenForm Sentence Lemma Stem StopWord SurfaceForm Compound CompoundPart Split LinkingMorpheme "
            "NGram LexicalPhrase Paragraph Heading Div Document",
        ),
        *_names(f"{DKPRO}lexmorph.type.morph", "Morpheme MorphologicalFeatures"),
        *_names("de.tudarmstadt.ukp.clarin.webanno.api.type", "FeatureDefinition LayerDefinition"),
        *_names("org.dkpro.core.api.xml.type", "XmlDocument XmlNode XmlElement XmlAttribute XmlTextNode"),
        *_names("org.dkpro.core.api.pdf.type", "PdfPage PdfChunk"),
    }
)
"""Layers whose features hold words of the text, metadata or names: one of our labels in them is no label."""
STRUCTURE = WORDS | {
    *_names(
        f"{DKPRO}lexmorph.type.pos",
        "POS POS_ADJ POS_ADP POS_ADV POS_AUX POS_CONJ POS_DET POS_INTJ POS_NOUN POS_NUM POS_PART POS_PRON POS_PROPN "
        "POS_PUNCT POS_SCONJ POS_SYM POS_VERB POS_X ADJ ADP ADV ART AUX CARD CONJ DET INTJ N NN NOUN NP NUM O PART PP "
        "PR PRON PROPN PRT PUNC PUNCT SCONJ SYM V VERB X",
    ),
    *_names(f"{DKPRO}lexmorph.type.pos.tweet", "POS_HASH POS_AT POS_EMO POS_DM POS_URL POS_NNV POS_NPV POS_INT"),
    *_names(f"{DKPRO}syntax.type", "PennTree"),
    *_names(f"{DKPRO}syntax.type.chunk", "Chunk NC VC PC ADJC ADVC CONCJ INTJ LST O PRT"),
    *_names(
        f"{DKPRO}syntax.type.constituent",
        "Constituent ROOT ADJP ADVP CONJP FRAG INTJ LST NAC NP NX PARN PP PRN PRP PRT QP RRC S SBAR SBARQ SINV SQ UCP "
        "VP WHADJP WHADVP WHNP WHPP X",
    ),
}
"""Layers that are no mentions: these, and grammar."""
PHRASES = frozenset(
    "ADJC ADJP ADVC ADVP CONCJ CONJP INTJ LST NC NP O PC PP PRT S SBAR UCP VC VN VP".split()  # noqa: SIM905 - as above
)
"""What a chunker writes into `chunkValue`; anything else there was put by an annotator."""
LABEL_FEATURES = ("value", "label")
"""Where a label is expected first."""
_RELATION = {"Governor", "Dependent"}
_STRING = "uima.cas.String"


def layers_of(view: Any) -> dict[str, list[Any]]:
    """The layers that may hold mentions, by name: all but text structure and relations, each with all it has."""
    found: dict[str, list[Any]] = {}
    for annotation in view.select_all_annotations():
        if not {f.name for f in annotation.type.all_features} >= _RELATION:
            found.setdefault(annotation.type.name, []).append(annotation)
    return {name: found[name] for name in sorted(found) if not _is_structure(name, found[name])}


def _is_structure(layer: str, annotations: Sequence[Any]) -> bool:
    """By its name, unless an annotation of it has one of our labels in a feature, or a chunk is no phrase."""
    if layer not in STRUCTURE:
        return False
    if layer == CHUNK and any(_feature(a, "chunkValue").upper() not in PHRASES for a in annotations):
        return False
    return layer in WORDS or not any(_known(getattr(a, f)) for a in annotations for f in _strings(a))


def spans_of(document_id: str, text: str, layer: str, annotations: Sequence[Any]) -> list[Span]:
    """The mentions of one layer.

    Raises:
        DataError: `layer_not_understood`, `label_missing`, `label_ambiguous` (two features, or a feature and the
            layer's name, say different things).
    """
    own = canonical_label(layer.rpartition(".")[2])
    features = _strings(annotations[0])
    known = {f: [_known(getattr(a, f)) for a in annotations] for f in features}
    if own in LABELS:
        labels: list[set[str]] = [{own, *(known[f][i] for f in features)} - {""} for i in range(len(annotations))]
    elif complete := [f for f in features if all(known[f])]:
        labels = [{known[f][i] for f in complete} for i in range(len(annotations))]
    else:
        named = [f for f in LABEL_FEATURES if f in features] or [f for f in features if any(known[f])]
        if not named:
            hint = f"layer {shown_layer(layer)} is not called after a type, and no feature of it holds a label"
            raise DataError(document_id, "layer_not_understood", annotations[0].begin, hint)
        labels = [{str(getattr(a, named[0]) or "")} for a in annotations]
    spans = []
    for annotation, said in zip(annotations, labels, strict=True):
        if said == {""}:
            raise DataError(document_id, "label_missing", annotation.begin, f"layer {shown_layer(layer)}")
        if len(said) > 1:
            raise DataError(document_id, "label_ambiguous", annotation.begin, f"layer {shown_layer(layer)}")
        start, end = annotation.begin, annotation.end
        inside = isinstance(start, int) and isinstance(end, int) and 0 <= start <= end
        spans.append(Span(next(iter(said)), start, end, text[start:end] if inside else None))
    return spans


def shown_layer(layer: str) -> str:
    """A layer's name without its package, if it is a name as programs have them."""
    short = layer.rpartition(".")[2]
    return short if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,60}", short) else "of another name"


def _strings(annotation: Any) -> list[str]:
    return [f.name for f in annotation.type.all_features if f.rangeType.name == _STRING]


def _feature(annotation: Any, name: str) -> str:
    value = getattr(annotation, name, None)
    return value if isinstance(value, str) else ""


def _known(value: Any) -> str:
    """One of our labels, or nothing."""
    label = canonical_label(value) if isinstance(value, str) else ""
    return label if label in LABELS else ""
