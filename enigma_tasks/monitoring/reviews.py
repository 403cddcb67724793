"""Reviewed notes: what a reviewer's corrections say of the night's annotations, as counts; never text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

Stream = Literal["random", "chosen"]


class ReviewedCounts(Frozen):
    """Strict matches of one entity type in one note: label, start and end are all right, or it is no match."""

    tp: int = Field(ge=0)
    fp: int = Field(ge=0)
    """Published spans that the reviewer does not have."""
    fn: int = Field(ge=0)
    """The reviewer's spans that were not published."""


class ReviewedNote(Frozen):
    """One review of one version of a note, compared with what a night published of it."""

    schema_version: Literal[1] = 1
    bucket: str
    key: str
    record_id: str | None
    version: str
    language: str
    site: str
    """The folder below the drop date, such as a ward; empty where there is none."""
    batch_id: str
    """The night whose annotations were reviewed."""
    planned_at: str
    """When that night was planned: UTC, ISO 8601."""
    models: dict[str, str]
    """Entity type -> digest of the ensemble that annotated the note; the types that were reviewed."""
    reviewed_at: str
    """When the reviewed file was dropped: UTC, ISO 8601."""
    source: str
    """SHA-256 of the name that it was dropped under, without the time that Label Studio adds to it."""
    marks: str
    """SHA-256 of the reviewed types and the labels and offsets that the reviewer left."""
    stream: Stream
    """`random`: drawn with a known probability; `chosen`: by usefulness or by hand, never mixed into estimates."""
    also_chosen: bool = False
    """A note of the random stream that is also among the most useful ones."""
    probability: float | None = Field(None, gt=0, le=1)
    """With which the random stream drew the note; None for chosen ones."""
    stratum: str = ""
    """The stratum that it was drawn from; empty for chosen ones."""
    counts: dict[str, ReviewedCounts]
    """Entity type -> counts, for every type of `models`."""

    @property
    def reviewed_place(self) -> tuple[str, str, str, str, str]:
        """(bucket, key, record id or "", version, batch): what one review counts for."""
        return self.bucket, self.key, self.record_id or "", self.version, self.batch_id

    @property
    def order(self) -> tuple[str, str, str]:
        """Of two reviews of one place the one that is later in this order counts, however they were read."""
        return self.reviewed_at, self.source, self.marks


def latest_reviews(reviews: Iterable[ReviewedNote]) -> list[ReviewedNote]:
    """The review that counts of each note and night: the last one; sorted by note and night."""
    latest: dict[tuple[str, ...], ReviewedNote] = {}
    for review in reviews:
        other = latest.get(review.reviewed_place)
        if other is None or review.order > other.order:
            latest[review.reviewed_place] = review
    return [latest[place] for place in sorted(latest)]
