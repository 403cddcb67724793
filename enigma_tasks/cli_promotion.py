"""The arguments of the commands about champions and challengers. Imports the standard library only, as `cli` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.documents import EntityType

if TYPE_CHECKING:
    import argparse

ENTITIES = [*[t.value for t in EntityType], "all"]


def challengers_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma challengers`."""
    p.add_argument("--language", help="all challengers of this language, decided on or not")
    p.add_argument("--entity", choices=ENTITIES, default="all", help="all challengers of this type")


def compare_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma compare`."""
    p.add_argument("--language", help="required, unless --challenger is a URI")
    p.add_argument("--entity", choices=ENTITIES, default="all")
    p.add_argument(
        "--challenger",
        metavar="VERSION|URI",
        help="a version of one type, or a line of `enigma challengers` (default: the version that the alias names)",
    )
    p.add_argument(
        "--test", metavar="CORPUS", help="the frozen test set (default: that of the language in the training project)"
    )


def promote_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma promote`."""
    p.add_argument(
        "--decision", required=True, metavar="URI", help="of `enigma compare`: s3://.../decisions/NAME/N.json"
    )
    p.add_argument("--digest", metavar="SHA256", help="refuse, unless that line of the journal still has this digest")
    person = p.add_mutually_exclusive_group()
    person.add_argument("--approved-by", metavar="NAME", help="who approves, where the change plan asks for a person")
    person.add_argument("--rejected-by", metavar="NAME", help="who rejects: written to the journal; exit code 1")


def card_arguments(p: argparse.ArgumentParser) -> None:
    """`enigma card`."""
    p.add_argument("--language", required=True)
    p.add_argument("--entity", required=True, choices=[t.value for t in EntityType])
    p.add_argument("--version", metavar="N", help="a registered version (default: the champion of the journal)")
    p.add_argument("--out", metavar="FILE", help="an HTML file to write (default: the version's place under cards/)")
