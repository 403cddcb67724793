"""Every path and object name that a stage reads or writes; no other module has path literals.

See docs/architecture.md, "Places".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.file_names import ANNOTATION_SUFFIX, TEXT_SUFFIX

if TYPE_CHECKING:
    from enigma_tasks.config import Settings

MODEL_CARD = "enigma.json"
"""In a model folder: labels, chunker, head, member, dev scores, digests."""
MODEL_WEIGHTS = "model.safetensors"
ENCODER_CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
MODEL_FILES = (ENCODER_CONFIG, MODEL_WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)
"""Every file of a model folder but its card, which holds their digests."""
TRAINING_STATE = ".training"
"""In a model folder while it is being trained: the checkpoint."""
CHECKPOINT = "checkpoint.safetensors"
TRACKED_RUN = "mlflow-run"
"""Beside the checkpoint: the id of the MLflow run, which a resumed training continues."""
GLINER_CONFIG = "gliner_config.json"
GLINER_FILES = (GLINER_CONFIG, MODEL_WEIGHTS, TOKENIZER, TOKENIZER_CONFIG)
ENSEMBLE_CARD = "ensemble.json"
"""In an ensemble folder: its members by digest, and the voting rule; members are under `members/<digest>/`."""
ENSEMBLE_MEMBERS = "members"
RULE_CARD = "rule.json"
"""In place of `ensemble.json` where a rule was fitted on prediction files: the rule, without the models."""
ENSEMBLE_ARTIFACT = "ensemble"
"""The ensemble folder inside a registered version: `artifacts/ensemble/`."""
REGISTERED_ARTIFACTS = "artifacts"
DVC_LOCK = "dvc.lock"
MODELS_LOCK = "models.lock"
"""Beside params.yaml: revision and file digests of every base model that was pulled."""
BASE_MODELS = "base-models"
"""Under the machine's cache: base models of a store in S3, by digest."""
WEIGHTS_PICKLE = "pytorch_model.bin"
TOKENIZER_SOURCES = (TOKENIZER, "vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model", "spm.model")
"""Each is enough for a tokenizer; all but the first are converted to a fast one when they are loaded."""
BASE_MODEL_FILES = (
    ENCODER_CONFIG,
    GLINER_CONFIG,
    "model*.safetensors",
    "model.safetensors.index.json",
    TOKENIZER_CONFIG,
    SPECIAL_TOKENS_MAP,
    "added_tokens.json",
    "merges.txt",
    *TOKENIZER_SOURCES,
)
"""File patterns of a base model in the store; nothing else is downloaded from a hub."""
LLM_CACHE = "llm"
"""Under the machine's cache: replies of language models by content digest. They quote notes."""

BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,199}")
SHARD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
ATTEMPT_ID = re.compile(r"[0-9a-f]{32}")
SHARD_SUFFIX = ".jsonl.gz"
VALIDATION_REPORT = "report.json"
VALIDATION_DEFECTS = "defects.jsonl"
SUSPECTS = "suspects.jsonl"
SUSPECTS_PAGE = "index.html"
"""Each breach of a rule: fold, document, rule, offset; a JSON line each."""
DATA_DOCS = "data-docs"
"""Great Expectations' pages; the first is `index.html`."""
SPLIT_CARD = "split.json"
"""Beside the folds: seed, shares, each document's fold, digests."""
PROVENANCE = "provenance.jsonl"
"""Beside an augmented corpus: each new document's parents and method, a JSON line each."""
AUGMENTATION_DICTIONARY = "dictionary.tsv"
"""Beside a corpus augmented by morphology: the dictionary that was used, for reuse."""
FOLDS = ("train", "dev", "test")
RETIRED = "retired"
"""Beside frozen dev and test: documents that are in neither any more, and never in train."""
METRICS = "metrics.json"
EVALUATED = "evaluated.json"
"""What the metrics are of."""
"""What `dvc metrics` reads."""
METRICS_BY_SLICE = "slices.csv"
"""What `dvc plots` draws: a row for each entity type and slice of document length."""
INGESTED = "ingested.jsonl.gz"
"""In the gold repository: which objects were ingested, and how many of their documents were refused."""
_JOURNAL_LINE = re.compile(r"[^/]+/(\d{8})\.json")
_PACKED_GOLD = re.compile(r"([^/]+)/([^/]+)\.jsonl\.gz")


@dataclass(frozen=True)
class RunPlaces:
    """URIs of one night's working state, `runs/{batch_id}/`."""

    root: str

    @classmethod
    def of(cls, settings: Settings, batch_id: str) -> RunPlaces:
        """The places of the batch under the configured `runs`.

        Raises:
            UsageError: `batch_id` has other characters than letters, digits and `._+:-`.
        """
        return cls(f"{settings.require('runs')}/{folder_name(batch_id)}")

    @classmethod
    def of_shard(cls, shard_uri: str) -> tuple[RunPlaces, str]:
        """A shard's URI -> the places of its night, and the shard's id. Raises UsageError."""
        root, slash, name = shard_uri.rpartition("/shards/")
        shard_id = name.removesuffix(SHARD_SUFFIX)
        if not slash or shard_id == name or not SHARD_ID.fullmatch(shard_id):
            raise UsageError(f"a shard's URI ends in /shards/ID{SHARD_SUFFIX}")
        folder_name(root.rpartition("/")[2])
        return cls(root), shard_id

    @property
    def batch_id(self) -> str:
        """The night."""
        return self.root.rpartition("/")[2]

    @property
    def plan(self) -> str:
        """The night's plan: pinned models, shards, counts."""
        return f"{self.root}/plan.json"

    def shard(self, shard_id: str) -> str:
        """The notes of one shard, a JSON line each, gzipped."""
        return f"{self.root}/shards/{shard_id}{SHARD_SUFFIX}"

    def quarantined(self, sha256: str) -> str:
        """The notes that `plan` put into quarantine, a JSON line each, gzipped; named by content."""
        return f"{self.root}/quarantined-{sha256[:12]}{SHARD_SUFFIX}"

    @property
    def results(self) -> str:
        """Folder of all shards' results, with the slash."""
        return f"{self.root}/results/"

    def result(self, shard_id: str) -> str:
        """Folder of one shard's result."""
        return f"{self.results}{shard_id}"

    def done(self, shard_id: str) -> str:
        """The commit of one shard: created once, names the attempt that is valid."""
        return f"{self.result(shard_id)}/done.json"

    def attempt(self, shard_id: str, attempt: str, table: str) -> str:
        """One attempt's rows of a table, `notes` or `spans`."""
        return f"{self.result(shard_id)}/{attempt}/{self.result_file(table)}"

    @staticmethod
    def result_file(table: str) -> str:
        """The name of an attempt's rows of a table."""
        return f"{table}.parquet"

    @property
    def published(self) -> str:
        """The report of the publication."""
        return f"{self.root}/published.json"

    @property
    def success(self) -> str:
        """Empty object that exists once the night is published."""
        return f"{self.root}/_SUCCESS"


def doctor_probe(settings: Settings, token: str) -> str:
    """An object that `enigma doctor` writes and deletes."""
    return f"{settings.require('runs')}/.doctor/{token}"


@dataclass(frozen=True)
class QuarantinePlaces:
    """URIs under `quarantine/{batch_id}/`."""

    root: str

    @classmethod
    def of(cls, settings: Settings, batch_id: str) -> QuarantinePlaces:
        """The places of the batch under the configured `quarantine`. Raises UsageError as RunPlaces.of does."""
        return cls(f"{settings.require('quarantine')}/{folder_name(batch_id)}")

    @property
    def notes(self) -> str:
        """Record, rule and offset of each note, a JSON line each; never its text."""
        return f"{self.root}/quarantine.jsonl"

    @property
    def rules(self) -> str:
        """Number of notes by rule."""
        return f"{self.root}/rules.json"


def base_model_folder(base: str) -> str:
    """The folder of a hub id in a model store: `org/name` -> `org--name` (hub ids never contain `--`)."""
    return base.replace("/", "--")


def packed_gold(language: str, entity: str) -> str:
    """In the gold repository: the documents of one language, annotated for one type."""
    return f"{language}/{entity}.jsonl.gz"


def gold_place(name: str) -> tuple[str, str] | None:
    """The language and type of a packed file of the gold repository; None for another file."""
    found = _PACKED_GOLD.fullmatch(name)
    return (found[1], found[2]) if found else None


def ingest_batch(batch_id: str) -> str:
    """The quarantine folder of an ingestion, distinct from that of a night of the same id. Raises UsageError."""
    return f"gold-{folder_name(batch_id)}"


def folder_name(batch_id: str) -> str:
    """The id of a batch or run, which may be a folder's name. Raises UsageError."""
    if not BATCH_ID.fullmatch(batch_id):
        raise UsageError("a batch id is letters, digits and ._+:-, beginning with a letter or digit")
    return batch_id


def corpus_pair(language: str, note_id: str) -> tuple[str, str]:
    """Text and annotation of one note, relative to a root with a corpus folder for each language."""
    return f"{language}/txt/{note_id}{TEXT_SUFFIX}", f"{language}/ann/{note_id}{ANNOTATION_SUFFIX}"


def drop_name(language: str, drop_date: str, ward: int, note_id: str) -> str:
    """An incoming note, relative to the place of the drops."""
    return f"{language}/{drop_date}/ward-{ward:02}/{note_id}{TEXT_SUFFIX}"


@dataclass(frozen=True)
class JournalPlaces:
    """URIs under `journal/`."""

    root: str

    def folder(self, name: str) -> str:
        """The lines of one registered model, with the slash."""
        return f"{self.root}/{name}/"

    def line(self, name: str, n: int) -> str:
        """One line; created once, never replaced."""
        return f"{self.folder(name)}{n:08}.json"

    def number(self, uri: str) -> int | None:
        """The number of a line's URI; None for any other object."""
        found = _JOURNAL_LINE.fullmatch(uri.removeprefix(f"{self.root}/"))
        return int(found[1]) if found else None

    def name(self, uri: str) -> str | None:
        """The name of the journal that an object is in; None for one that is in no journal's folder."""
        name, slash, _ = uri.removeprefix(f"{self.root}/").partition("/")
        return name if slash or not name else None


@dataclass(frozen=True)
class ReportPlaces:
    """URIs under `reports/`."""

    root: str

    @classmethod
    def of(cls, settings: Settings) -> ReportPlaces:
        """The configured `reports`."""
        return cls(settings.require("reports"))

    def page(self, batch_id: str) -> str:
        """The morning page of a night."""
        return f"{self.root}/{folder_name(batch_id)}/index.html"

    def summary(self, batch_id: str) -> str:
        """The page's figures, with which later nights are compared."""
        return f"{self.root}/{folder_name(batch_id)}/summary.json"

    @property
    def weeks(self) -> str:
        """Folder of the weekly reports."""
        return f"{self.root}/weeks"

    def week(self, week: str) -> str:
        """The report on an ISO week's reviewed notes."""
        return f"{self.weeks}/{folder_name(week)}.html"

    def week_summary(self, week: str) -> str:
        """The report's figures, and what was alerted about."""
        return f"{self.weeks}/{folder_name(week)}.json"

    @property
    def nights(self) -> str:
        """The page that lists all nights."""
        return f"{self.root}/index.html"
