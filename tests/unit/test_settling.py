"""One id is one document: what arrives is added, replaces its own older version, changes nothing, or is refused."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enigma_tasks.documents import Document, Entity, EntityType
from enigma_tasks.gold.manifest import Manifest, ManifestEntry
from enigma_tasks.gold.settling import Arriving, IngestCounts, claims_of, origin, origins_of, settle

D, P, S = EntityType.DISEASE, EntityType.PROCEDURE, EntityType.SYMPTOM
TEXT = "Refiere asma y tos."
ASTHMA = Entity("DISEASE", 8, 12, "asma")
WARD_1, WARD_2 = "es/disease/ward-1/0001.txt", "es/disease/ward-2/0001.txt"


def document(text: str = TEXT, *types: EntityType, entities: tuple[Entity, ...] = (), name: str = "0001") -> Document:
    return Document(name, text, entities, "es", frozenset(types or {D}))


def manifest(*taken: tuple[str, Document]) -> Manifest:
    return {record: ManifestEntry((), "digest", 0, tuple(claims_of(d))) for record, d in taken}


def fates(*arriving: tuple[str, Document], held: Manifest | None = None, old: Document | None = None) -> list[str]:
    place = {("es", D): [old] if old else []}
    return list(settle([Arriving(*a) for a in arriving], place, origins_of(held or {})).fates)


def test_two_wards_that_count_from_one_are_refused_both() -> None:
    assert fates((WARD_1, document("one")), (WARD_2, document("two"))) == ["refused", "refused"]


def test_the_same_document_twice_is_one_and_changes_nothing_the_second_time() -> None:
    assert fates((WARD_1, document()), (WARD_2, document())) == ["added", "unchanged"]


def test_two_annotators_of_one_text_are_refused_both() -> None:
    assert fates((WARD_1, document()), (WARD_2, document(entities=(ASTHMA,)))) == ["refused", "refused"]


def test_only_a_later_version_of_the_same_record_replaces_what_is_held() -> None:
    old, held = document("old"), manifest((WARD_1, document("old")))
    assert fates((WARD_1, document("new")), held=held, old=old) == ["replaced"]
    assert fates((WARD_2, document("new")), held=held, old=old) == ["refused"]
    assert fates((WARD_2, document("old")), held=held, old=old) == ["unchanged"]
    assert fates((WARD_1, document("new")), (WARD_2, document("other")), held=held, old=old) == ["replaced", "refused"]
    assert fates((WARD_2, document("old", entities=(ASTHMA,))), held=held, old=old) == ["refused"]


def test_a_copy_of_the_older_version_does_not_undo_the_newer() -> None:
    held = manifest((WARD_1, document("old")))
    arriving = ((WARD_1, document("new")), (WARD_2, document("old")))
    assert fates(*arriving, held=held, old=document("old")) == ["replaced", "unchanged"]


def test_what_no_record_is_known_for_is_not_replaced() -> None:
    assert fates((WARD_1, document("new")), old=document("old")) == ["refused"]


def test_a_later_export_of_a_label_studio_project_is_the_same_record() -> None:
    june = "es/disease/project-7-at-2026-06-01-10-30-1f2e3d4c.json"
    july = "es/disease/project-7-at-2026-07-01-09-00-99aa88bb.json"
    other = "es/disease/project-8-at-2026-07-01-09-00-99aa88bb.json"
    assert origin(june) == origin(july) != origin(other)
    held = manifest((june, document("old")))
    assert fates((july, document("new")), held=held, old=document("old")) == ["replaced"]
    assert fates((other, document("new")), held=held, old=document("old")) == ["refused"]
    assert fates((june, document("old")), (july, document("new"))) == ["added", "replaced"]


def test_an_earlier_export_of_a_label_studio_project_replaces_nothing() -> None:
    may = "es/disease/project-7-at-2026-05-01-10-30-ffffffff.json"
    june = "es/disease/project-7-at-2026-06-01-10-30-1f2e3d4c.json"
    renamed = "es/disease/project-7.json"
    held = manifest((june, document("new")))
    assert fates((may, document("old")), held=held, old=document("new")) == ["older"]
    assert fates((may, document("new")), held=held, old=document("new")) == ["unchanged"]
    assert fates((may, document("other", name="0002")), held=held, old=document("new")) == ["added"]
    assert fates((renamed, document("old")), held=held, old=document("new")) == ["replaced"]
    assert fates((june, document("new")), (may, document("old"))) == ["added", "older"]
    assert fates((may, document("old")), (june, document("new"))) == ["added", "replaced"]
    both = held | manifest((may, document("new")))
    assert fates((may, document("old")), held=both, old=document("new")) == ["older"]
    several = document("old", D, S)
    assert fates((may, several), held=held, old=document("new")) == ["older"]


def test_the_curated_version_replaces_an_annotators_and_never_the_other_way_round() -> None:
    ana, ben = "es/all/annotation/a.txt/ana.xmi", "es/all/annotation/a.txt/ben.xmi"
    curated, other = "es/all/curation/a.txt/CURATION_USER.xmi", "es/all/curation/b.txt/CURATION_USER.xmi"
    by_ana, by_curator = manifest((ana, document("old"))), manifest((curated, document("old")))
    assert fates((curated, document("new")), held=by_ana, old=document("old")) == ["replaced"]
    assert fates((ben, document("new")), held=by_ana, old=document("old")) == ["refused"]
    assert fates((ana, document("new")), held=by_curator, old=document("old")) == ["refused"]
    assert fates((other, document("new")), held=by_ana, old=document("old")) == ["refused"]


def test_a_document_of_several_types_has_one_fate_and_goes_to_each_type_with_its_spans() -> None:
    cough = Entity("SYMPTOM", 15, 18, "tos")
    one = document(TEXT, D, S, entities=(ASTHMA, cough))
    held = {("es", D): [document()], ("es", S): []}
    settled = settle([Arriving(WARD_1, one)], held, origins_of(manifest((WARD_1, one))))
    assert settled.fates == ["replaced"]
    assert {t.value: d["0001"].entities for (_, t), d in settled.after.items()} == {
        "disease": (ASTHMA,),
        "symptom": (cough,),
    }
    assert settled.places == {("es", D): Counter(replaced=1), ("es", S): Counter(added=1)}


def test_a_document_that_is_refused_for_one_type_is_refused_for_all() -> None:
    settled = settle(
        [Arriving("a", document("one", D, S)), Arriving("b", document("two", S, P)), Arriving("c", document("one", P))],
        {},
        {},
    )
    assert settled.fates == ["refused"] * 3
    assert not any(settled.after.values())


def test_counts_that_do_not_add_up_are_no_report() -> None:
    with pytest.raises(AssertionError, match="3 were read, and 2"):
        IngestCounts(deliveries=3, read=3, added=1, replaced=0, unchanged=0, quarantined=1, ignored=0)


documents = st.builds(
    document,
    st.sampled_from(["one", "two"]),
    st.sampled_from([D, S]),
    name=st.sampled_from(["a", "b", "c"]),
)
drops = st.lists(
    st.lists(st.tuples(st.sampled_from([WARD_1, WARD_2, "es/all/x.json"]), documents), max_size=5), max_size=5
)


@given(drops)
def test_after_any_drops_each_document_is_of_one_origin_and_the_counts_say_what_is_held(
    sequence: list[list[tuple[str, Document]]],
) -> None:
    held: dict[tuple[str, EntityType], list[Document]] = {("es", D): [], ("es", S): []}
    taken: dict[str, set[tuple[str, str, str]]] = {}
    source: dict[tuple[EntityType, str], set[str]] = {}
    for drop in sequence:
        known = {record: ManifestEntry((), "", 0, tuple(claims)) for record, claims in taken.items()}
        settled = settle([Arriving(*a) for a in drop], held, origins_of(known))
        assert len(settled.fates) == len(drop)
        for place, before in held.items():
            found, own = settled.places.get(place, Counter()), settled.after[place]
            assert len(own) == len(before) + found["added"]
        for (record, d), fate in zip(drop, settled.fates, strict=True):
            (t,) = d.annotated
            if fate == "replaced":
                assert record in source[t, d.id]
            if fate != "refused":
                source.setdefault((t, d.id), set()).add(record)
                taken.setdefault(record, set()).update(claims_of(d))
        held = {place: list(own.values()) for place, own in settled.after.items()}
