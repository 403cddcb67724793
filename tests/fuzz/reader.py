"""What is fuzzed: a reader with files to start from, and what a mutant of them may do."""

from __future__ import annotations

import io
import logging
import random
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.adapters.language_detection import LanguageDetector
from enigma_tasks.config import load_params
from enigma_tasks.errors import DataError, EnigmaError
from enigma_tasks.unforeseen import UNREADABLE
from tests.fuzz.mutations import mutated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Files = dict[str, bytes]
"""By name."""
PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"
SHARED_MEMORY = Path("/dev/shm")
PARAMS = load_params(PARAMS_FILE)
MAX_BYTES = 100_000
"""Of a note or an object."""
WORDS = ("asma", "bronquial", "fiebre", "neumon", "craneal", "paciente", "refiere")
"""In the texts of the files to start from; no message may have one of them."""


@dataclass(frozen=True)
class Reader:
    """How files of one kind are read."""

    seeds: Callable[[], list[Files]]
    """Files that are read together, several times."""
    read: Callable[[Files, Path], list[DataError]]
    """Files and an empty folder -> the defects that it collects. It may raise errors of ours."""
    weight: float = 4
    """Its part of all mutants: less where one takes long."""
    mutate: Callable[[random.Random, Files], Files] | None = None
    """If not one of the files, by its name."""


@cache
def detector() -> LanguageDetector:
    """Of the configured languages."""
    return LanguageDetector(PARAMS.languages)


def mutant(reader: Reader, name: str, seed: int, number: int) -> Files:
    """The files of one case; the same for the same reader, seed and number."""
    rng = random.Random(f"{name}:{seed}:{number}")
    files = rng.choice(seeds_of(reader))
    if reader.mutate:
        return reader.mutate(rng, files)
    changed = rng.choice(sorted(files))
    return files | {changed: mutated(rng, changed, files[changed])}


def try_case(readers: Mapping[str, Reader], case: str) -> frozenset[str]:
    """Play `READER:SEED:NUMBER`; returns the rules that refuse something, or the kind of an error without a rule.

    Raises:
        AssertionError: it ends in another exception, no rule foresees it, or a message quotes the text.
    """
    name, seed, number = case.split(":")
    files = mutant(readers[name], name, int(seed), int(number))
    said: list[str] = []
    with scratch() as folder, collected(said):
        try:
            errors: list[EnigmaError] = [*readers[name].read(files, folder)]
        except EnigmaError as error:
            errors = [error]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a panic of a Rust library is no Exception
            raise AssertionError(f"CASE={case} make test-fuzz: {type(error).__name__}") from error
    rules = frozenset(str(getattr(error, "rule", type(error).__name__)) for error in errors)
    assert UNREADABLE not in rules, f"CASE={case} make test-fuzz: no rule foresees it: {' '.join(said)}"
    quoted = [message for message in (*map(str, errors), *said) if any(word in message.lower() for word in WORDS)]
    assert not quoted, f"CASE={case} make test-fuzz: a message quotes the text: {quoted[0]}"
    return rules


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one case, in memory where the system has that."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def collected(said: list[str]) -> Iterator[None]:
    """What is logged, warned of or printed meanwhile."""
    handler, root = logging.Handler(), logging.getLogger()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    printed = io.StringIO()
    root.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned, redirect_stdout(printed), redirect_stderr(printed):
            warnings.simplefilter("always")
            yield
    finally:
        root.removeHandler(handler)
        said += [str(w.message) for w in warned] + [printed.getvalue()]


def placed_in(files: Files, folder: Path) -> Path:
    """The folder, with the files in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@cache
def seeds_of(reader: Reader) -> list[Files]:
    """Its files to start from, built once."""
    return reader.seeds()
