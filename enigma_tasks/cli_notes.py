"""The arguments of the commands about single notes. Imports the standard library only, as `cli` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def review_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma review`."""
    p.add_argument("--note", required=True, help="URI of a published note: s3://.../note.txt or ...jsonl#id")
    p.add_argument("--out", required=True, help="the HTML file to write; it contains the note's text")


def explain_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma explain`."""
    p.add_argument("note", metavar="NOTE", help="URI of a note: s3://.../note.txt or ...jsonl#id; or its name-...")


def forget_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma forget`."""
    p.add_argument(
        "note",
        metavar="NOTE|PREFIX/",
        help="URI of a note, a file of records, or a folder with its slash; or a note's name-...",
    )
    p.add_argument("--yes", action="store_true", help="remove; without it, list what would be removed")
    p.add_argument(
        "--gold",
        action="store_true",
        help="also remove it from gold/ and from every version in the gold repository, whose history is rewritten",
    )
    p.add_argument(
        "--document", action="append", default=[], metavar="ID", help="--gold: a gold document that is the note too"
    )
