"""Which note has which path below annotations/, where the paths of several are one without letter case or Unicode form.

Decision 0006: of such notes the one that was published first keeps the ordinary path, the others have a separate one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from enigma_tasks.artifacts import annotation_path
from enigma_tasks.file_names import folded
from enigma_tasks.notes.done import FingerprintSet, fingerprint, repeated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class NamedNote(NamedTuple):
    """A note in any version, as far as its path depends on it. In the order in which one night's notes come."""

    key: str
    record_id: str
    """Empty for a whole object."""
    language: str


@dataclass(frozen=True)
class AnnotationPaths:
    """The paths of one night's notes."""

    drops: str
    """The key of drops/, with its slash."""
    given: Mapping[NamedNote, str] = field(default_factory=dict)
    """Notes that have another path than the ordinary one already."""
    holders: Mapping[bytes, NamedNote] = field(default_factory=dict)
    """The note that has an ordinary path which others would share; by the fingerprint of the folded path."""

    def of(self, note: NamedNote) -> str:
        """The note's path."""
        if note in self.given:
            return self.given[note]
        path = self.ordinary(note)
        if self.holders.get(_place(path), note) == note:
            return path
        return annotation_path(note.language, note.key.removeprefix(self.drops), note.record_id or None, separate=True)

    def ordinary(self, note: NamedNote) -> str:
        """The path that the note has if it is the only one."""
        return annotation_path(note.language, note.key.removeprefix(self.drops), note.record_id or None)


def paths_given(drops: str, night: Iterable[tuple[NamedNote, str]]) -> AnnotationPaths:
    """The paths of a committed night, from its rows: notes and the paths that they were given."""
    paths = AnnotationPaths(drops)
    return AnnotationPaths(drops, {note: path for note, path in night if path != paths.ordinary(note)})


def settle_paths(
    drops: str, night: Callable[[], Iterable[NamedNote]], earlier: Iterable[tuple[NamedNote, str]]
) -> AnnotationPaths:
    """Give every note of a night a path that no other note has, folded (`file_names.folded`).

    A note keeps the path of its earlier versions. Else it has the ordinary one, unless a note of an `earlier` committed
    night has that, or a smaller note of this night would. `night` is iterated twice where two of its notes meet; 32
    bytes per note of the night are kept, and of `earlier` the notes that one of the night meets.
    """
    paths = AnnotationPaths(drops)
    places, notes = bytearray(), bytearray()
    for note in night():
        places += _place(paths.ordinary(note))
        notes += fingerprint(note)
    wanted, named, shared = FingerprintSet(places), FingerprintSet(notes), repeated(places)
    given: dict[NamedNote, str] = {}
    holders: dict[bytes, NamedNote] = {}
    for note, path in earlier:
        place = _place(path)
        if fingerprint(note) not in named:
            alone = False
        elif path == paths.ordinary(note):
            alone = place not in shared
        else:
            alone = False
            given.setdefault(note, path)
        if not alone and place in wanted:
            holders.setdefault(place, note)
    free = shared - holders.keys()
    for note in night() if free else ():
        place = _place(paths.ordinary(note))
        if place in free and note not in given:
            holders[place] = min(note, holders.get(place, note))
    return AnnotationPaths(drops, given, holders)


def _place(path: str) -> bytes:
    return fingerprint((folded(path),))
