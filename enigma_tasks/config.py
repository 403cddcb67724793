"""Params (params.yaml) and Settings (environment): typed, frozen, unknown keys refused.

With `s3_settings`, the only module that reads the environment.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr, ValidationError, model_validator

from enigma_tasks.errors import UsageError
from enigma_tasks.frozen import Frozen
from enigma_tasks.languages.rules import canonical_code
from enigma_tasks.params.annotate import AnnotateParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.augment import AugmentParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.ensembles import EnsembleParams, FittingParams, check_ensembles
from enigma_tasks.params.evaluate import EvaluateParams, TrainingParams  # noqa: TC001 - pydantic reads them
from enigma_tasks.params.gold import SplitParams, ValidationParams  # noqa: TC001 - pydantic reads them
from enigma_tasks.params.ingest import IngestParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.languages import LanguageParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.limits import RecordLimits  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.llm import LlmSettings
from enigma_tasks.params.members import AnyMember  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.monitor import MonitorParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.plan import PlanParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.promotion import PromotionParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.publish import PublishParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.review import ReviewParams  # noqa: TC001 - pydantic reads it
from enigma_tasks.params.third_parties import QUIET
from enigma_tasks.params_file import params_tree
from enigma_tasks.s3_settings import load_s3_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping, Sequence

PARAMS_FILE = Path("params.yaml")
KEY_CHARACTERS = 16
_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8})+")
"""BCP 47: a language, then script, region and variants, which models do not distinguish."""


class Params(Frozen):
    """params.yaml as a whole."""

    seed: int
    languages: dict[str, LanguageParams]
    members: dict[str, AnyMember]
    ensembles: dict[str, EnsembleParams] = Field(default_factory=dict)
    notes: RecordLimits
    plan: PlanParams
    annotate: AnnotateParams
    publish: PublishParams
    review: ReviewParams
    monitor: MonitorParams
    validation: ValidationParams = Field(alias="validate")  # pydantic reserves the name `validate`
    split: SplitParams
    augment: AugmentParams
    training: dict[str, TrainingParams]
    evaluate: EvaluateParams
    ingest: IngestParams
    promotion: PromotionParams
    ensemble: FittingParams = FittingParams()

    def language(self, code: str) -> str | None:
        """The configured code that `code` means, or None: `CZ` -> `cs`, `es-ES` and `es_419` -> `es` (BCP 47)."""
        lower = code.strip().lower().replace("_", "-")
        for tag in (lower, lower.partition("-")[0] if _LANGUAGE_TAG.fullmatch(lower) else lower):
            own = canonical_code(tag)
            if own in self.languages:
                return own
        return None

    def require_language(self, code: str) -> str:
        """The configured code that `code` means. Raises UsageError when there is none."""
        known = self.language(code)
        if known is None:
            raise UsageError(f"no language {code!r} in params.yaml; there are: {', '.join(sorted(self.languages))}")
        return known

    def member(self, name: str) -> AnyMember:
        """The member called `name`. Raises UsageError when there is none."""
        if name not in self.members:
            raise UsageError(f"no member {name!r} in params.yaml; there are: {', '.join(sorted(self.members))}")
        return self.members[name]

    def ensemble_of(self, name: str) -> EnsembleParams:
        """The ensemble called `name`. Raises UsageError when there is none."""
        if name not in self.ensembles:
            raise UsageError(f"no ensemble {name!r} in params.yaml; there are: {', '.join(sorted(self.ensembles))}")
        return self.ensembles[name]

    def ensemble_name(self, language: str, members: Sequence[str]) -> str:
        """The ensemble of that language with exactly these members; the one member, or `a + b` where there is none."""
        for name, ensemble in self.ensembles.items():
            if ensemble.language == language and sorted(ensemble.members) == sorted(members) and len(members) > 1:
                return name
        return " + ".join(members)

    @model_validator(mode="after")
    def _check_ensembles(self) -> Params:
        check_ensembles(self.ensembles, self.members, self.languages)
        return self


def load_params(path: Path = PARAMS_FILE, overrides: Iterable[str] = ()) -> Params:
    """Read params.yaml and apply `section.key=value` overrides (values in YAML).

    Raises:
        UsageError: no such file, unreadable YAML, an unknown or missing key, a value of the wrong type; names the key.
    """
    try:
        return Params.model_validate(params_tree(path, overrides))
    except ValidationError as error:
        raise UsageError("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error


class Settings(Frozen):
    """Places and credentials, from the environment, never from params.yaml (docs/architecture.md, "Places")."""

    drops: str = ""
    gold: str = ""
    runs: str = ""
    annotations: str = ""
    tables: str = ""
    quarantine: str = ""
    reports: str = ""
    to_review: str = ""
    reviewed: str = ""
    reviewed_index: str = ""
    """Counts of reviewed notes, and which were exported for review."""
    journal: str = ""
    """The journal of champions: docs/journal.md."""
    forgotten: str = ""
    """Tombstones of notes that were forgotten: docs/forget.md."""
    decisions: str = ""
    """Decisions on challengers, as pages: docs/promotion.md."""
    cards: str = ""
    """Cards of registered versions: docs/promotion.md."""
    dvc: str = ""
    """The DVC remote of the gold repository."""
    training: str = ""
    """What retraining works on; checkpoints."""
    gold_repository: str = Field("", repr=False)
    """Path or URL of the git repository of gold; a URL may hold a password."""
    training_repository: str = Field("", repr=False)
    """Path or URL of the git repository of the training project; a URL may hold a password."""
    checkpoints: str = ""
    """`s3://` folder for the checkpoint of `enigma train`, beside its copy on this machine; set by `enigma repro`."""
    mlflow_tracking_uri: str = ""
    actor: str = ""
    """Who runs the command, for the journal."""
    model_store: str = ""
    cache: Path = Path(".enigma/cache")
    """Folder for downloaded models, by digest."""
    llm: LlmSettings = LlmSettings()
    name_key: SecretStr = SecretStr("")
    """If set, keys and ids are shown as keyed hashes: docs/what-is-shown.md."""
    out_of_memory: int = Field(0, ge=0, le=30)
    """How often this command was killed for want of memory before, as its runtime knows."""
    night_key: SecretStr = SecretStr("")
    """If set, plans and shard commits are signed with it, and others are refused: docs/architecture.md, "Places"."""
    forget_key: SecretStr = SecretStr("")
    """Makes the tombstones of forgotten notes: docs/forget.md."""
    debug: bool = False
    """Show messages of unexpected exceptions. They may quote a note: never in production."""

    def require(self, place: str) -> str:
        """The URI of a place such as `drops`. Raises UsageError when it is not set."""
        uri = str(getattr(self, place))
        if not uri:
            raise UsageError(f"set ENIGMA_S3_ROOT or ENIGMA_S3_{place.upper()}")
        return uri

    def require_forget_key(self) -> str:
        """The key of tombstones. Raises UsageError when it is not set."""
        secret = self.forget_key.get_secret_value()
        if not secret:
            raise UsageError(
                "set ENIGMA_FORGET_KEY to a secret key, and keep it: tombstones are worth nothing without it"
            )
        return secret

    def require_actor(self) -> str:
        """`ENIGMA_ACTOR`, or the name of the user who runs the command. Raises UsageError where there is neither."""
        try:
            name = self.actor or getpass.getuser()
        except (OSError, KeyError):
            name = ""
        if not name.isprintable() or not name:
            raise UsageError("set ENIGMA_ACTOR to who runs this command")
        return name


S3_PLACES = (
    *("drops", "gold", "runs", "annotations", "tables", "quarantine", "reports", "to_review", "reviewed"),
    *("reviewed_index", "journal", "decisions", "cards", "dvc", "training", "forgotten"),
)
"""Fields of `Settings`; a folder's name has `-` for `_`."""


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from environment variables; `ENIGMA_S3_<PLACE>` overrides `ENIGMA_S3_ROOT` for one place."""
    env = os.environ if environment is None else environment
    root = env.get("ENIGMA_S3_ROOT", "").rstrip("/")
    folders = {p: f"{root}/{p.replace('_', '-')}" if root else "" for p in S3_PLACES}
    places = {p: env.get(f"ENIGMA_S3_{p.upper()}", folder).rstrip("/") for p, folder in folders.items()}
    for place, uri in places.items():
        if uri and not uri.startswith("s3://"):
            raise UsageError(f"ENIGMA_S3_ROOT or ENIGMA_S3_{place.upper()} must be an s3:// URI")
    try:
        llm = LlmSettings.model_validate(LlmSettings.tree(env))
    except ValidationError as error:
        names = ", ".join(f"ENIGMA_LLM_{e['loc'][0]}".upper() for e in error.errors())
        raise UsageError(f"value not allowed: {names}") from None
    return Settings(
        **places,
        gold_repository=env.get("ENIGMA_GOLD_REPOSITORY", ""),
        actor=env.get("ENIGMA_ACTOR", "").strip(),
        training_repository=env.get("ENIGMA_TRAINING_REPOSITORY", ""),
        checkpoints=env.get("ENIGMA_CHECKPOINTS", "").rstrip("/"),
        mlflow_tracking_uri=env.get("MLFLOW_TRACKING_URI", ""),
        model_store=env.get("ENIGMA_MODEL_STORE", ""),
        cache=Path(env.get("ENIGMA_CACHE", ".enigma/cache")),
        llm=llm,
        name_key=SecretStr(_key(env, "ENIGMA_NAME_KEY")),
        night_key=SecretStr(_key(env, "ENIGMA_NIGHT_KEY")),
        forget_key=SecretStr(_key(env, "ENIGMA_FORGET_KEY")),
        out_of_memory=_times(env.get("ENIGMA_OUT_OF_MEMORY", "0")),
        debug=env.get("ENIGMA_DEBUG", "") == "1",
    )


def _key(env: Mapping[str, str], name: str) -> str:
    """A secret key. Raises UsageError where it is too short to resist a search, as over all patient numbers."""
    key = env.get(name, "").strip()
    if key and len(key) < KEY_CHARACTERS:
        raise UsageError(f"{name} needs at least {KEY_CHARACTERS} characters")
    return key


def _times(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", value):
        raise UsageError("ENIGMA_OUT_OF_MEMORY must be a small number")
    return min(int(value), 30)


def child_environment(changes: Mapping[str, str], without: tuple[str, ...] = ()) -> dict[str, str]:
    """This process's environment without the variables of some prefixes and with `changes`, for a child process."""
    return {k: v for k, v in os.environ.items() if not k.startswith(without)} | dict(changes)


def bare_environment() -> dict[str, str]:
    """What a child process needs to start in this Python and nothing else: no credentials, no places."""
    names = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")
    return {name: os.environ[name] for name in names if name in os.environ}


def quiet_third_parties(environment: MutableMapping[str, str] | None = None, *, hub: bool = False) -> None:
    """Turn off libraries' telemetry, pickles and progress output, and set their retries, by environment variables.

    Variables that are set stay, except that pickles are always off. Libraries read them on import: call this before a
    stage is imported. `hub`: this command may contact a model hub.
    """
    env = os.environ if environment is None else environment
    for name, value in (QUIET if hub else {**QUIET, "HF_HUB_OFFLINE": "1"}).items():
        env.setdefault(name, value)
    env["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    for name in ("alembic", "botocore", "great_expectations", "urllib3"):  # they log each retry with its URL
        logging.getLogger(name).setLevel(logging.ERROR)
    s3 = load_s3_settings(env)
    if s3.endpoint is not None:  # for MLflow's own S3 client
        env.setdefault("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", s3.addressing)
        env.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", s3.checksums)
        env.setdefault("AWS_RESPONSE_CHECKSUM_VALIDATION", s3.checksums)
    authorities = env.get("AWS_CA_BUNDLE")
    if authorities and not hub:  # delta-rs reads this variable only
        env.setdefault("SSL_CERT_FILE", authorities)
