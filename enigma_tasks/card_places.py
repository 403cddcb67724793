"""URIs of the cards of registered versions, and links between pages of a bucket; see docs/promotion.md."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class CardPlaces:
    """URIs under `cards/`."""

    root: str

    def page(self, name: str, version: str) -> str:
        """The card of a version."""
        return f"{self.root}/{name}/{version}.html"


def relative_link(page: str, other: str) -> str:
    """From one page to another, as a browser follows it; the URI itself where that is in another bucket."""
    bucket, other_bucket = (uri.removeprefix("s3://").partition("/")[0] for uri in (page, other))
    if bucket != other_bucket:
        return other
    return quote(posixpath.relpath(other.removeprefix("s3://"), posixpath.dirname(page.removeprefix("s3://"))))
