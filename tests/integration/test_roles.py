"""The roles of infra/aws/enigma.yaml, deployed to a local AWS server: each command runs with its own, which allows
what it asks for and nothing more."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml
from mlflow.store.artifact import s3_artifact_repo

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.s3_client import forget_client
from enigma_tasks.cli import main
from enigma_tasks.config import S3_PLACES, load_settings
from enigma_tasks.errors import ServiceError
from enigma_tasks.formats.corpora import write_corpus
from enigma_tasks.formats.standoff import format_ann
from tests.integration.canary_world import planted
from tests.integration.mlflow_server import mlflow_server
from tests.integration.role_store import ADMINISTRATOR, Asked, RoleStore, allows, role_store
from tests.integration.test_champions import WHO
from tests.unit.ner_builders import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = Path(__file__).parents[2] / "infra" / "aws" / "enigma.yaml"
NAME = "ward-7"
DATA, JOURNAL = f"{NAME}-data", f"{NAME}-journal"
COST = ("--set", "promotion.cost=1000")
"""The models are so fast that their times are noise."""
NIGHT = "night-1"
RESULT = f"s3://{DATA}/runs/{NIGHT}/xcom/result.json"
ROLES = (
    *("drop", "plan", "annotate", "publish", "monitor", "ingest", "train", "promote"),
    *("reviewer", "engineer", "forget", "airflow"),
)
PEOPLE = ("engineer", "forget")
"""Roles whose commands a person runs."""

# Who may read and write each place. A place with text is read by those only whose work is text.
READ = {
    "drops/es/2026-06-11/n.txt": {"annotate", "monitor", "engineer", "forget"},
    "gold/es/all/n.txt": {"ingest", "forget"},
    "dvc/files/md5/aa/b": {"ingest", "train", "promote", "forget"},
    "annotations/es/2026-06-11/n.ann": {"forget"},
    "tables/notes/_delta_log/0.json": {"plan", "publish", "monitor", "engineer", "forget"},
    "tables/spans/part-0.parquet": {"publish", "monitor", "engineer", "forget"},
    "runs/n/plan.json": {"plan", "annotate", "publish", "monitor", "engineer", "forget"},
    "runs/n/shards/es-0.jsonl.gz": {"annotate", "publish", "monitor", "forget"},
    "runs/n/results/es-0/a/spans.parquet": {"annotate", "publish", "monitor", "forget"},
    "runs/n/xcom/plan--1.json": {"publish", "monitor", "airflow", "forget"},
    "to-review/n/es/label-studio.json": {"reviewer", "forget"},
    "reviewed/ana/export.json": {"monitor", "forget"},
    "reports/n/index.html": {"monitor", "engineer", "forget"},
    "mlflow/1/models/m/model.safetensors": {"annotate", "train", "promote", "forget"},
    "training/es/1/work.json": {"train", "forget"},
}
WRITE = {
    "drops/es/2026-06-11/n.txt": {"drop", "forget"},
    "gold/es/all/n.txt": {"forget"},
    "dvc/files/md5/aa/b": {"ingest", "train", "forget"},
    "annotations/es/2026-06-11/n.ann": {"publish", "forget"},
    "tables/notes/_delta_log/0.json": {"publish", "forget"},
    "tables/spans/part-0.parquet": {"publish", "forget"},
    "runs/n/plan.json": {"plan", "forget"},
    "runs/n/shards/es-0.jsonl.gz": {"plan", "forget"},
    "runs/n/results/es-0/a/spans.parquet": {"annotate", "forget"},
    "runs/n/_SUCCESS": {"publish", "forget"},
    "to-review/n/es/label-studio.json": {"monitor", "forget"},
    "reviewed/ana/export.json": {"reviewer", "forget"},
    "reports/n/index.html": {"monitor", "forget"},
    "mlflow/1/models/m/model.safetensors": {"train", "forget"},
    "decisions/enigma-es-disease/1.json": {"promote", "forget"},
    "training/es/1/work.json": {"train", "forget"},
}
LIST = {
    "annotations/": {"engineer", "forget"},
    "decisions/": {"engineer", "forget"},
    "drops/": {"plan", "engineer", "forget"},
    "dvc/": {"ingest", "train", "promote", "forget"},
    "gold/": {"ingest", "forget"},
    "mlflow/": {"annotate", "train", "promote", "forget"},
    "reports/": {"monitor", "engineer", "forget"},
    "reviewed/": {"monitor", "forget"},
    "runs/": {"publish", "engineer", "forget"},
    "tables/": {"publish", "monitor", "engineer", "forget"},
    "to-review/": {"monitor", "reviewer", "forget"},
    "training/": {"train", "forget"},
}
DELETE = {key: set[str]() for key in READ | WRITE} | {
    "runs/n/results/es-0/a/spans.parquet": {"publish"},
    "runs/n/xcom/plan--1.json": {"airflow"},
    "training/es/1/work.json": {"train"},
}
"""What is deleted so stays as a version; versions are the forgetting's alone."""
NOT_ASKED_HERE = {
    # tests/dags: the tasks read, write and delete there
    "airflow": {"runs/*/xcom/*"},
    # a retraining: tests/integration/test_retrain_steps.py runs it, with one key for all
    "train": {"cards/*", "dvc/*", "mlflow/*", "training/*", "forgotten/*", "runs/*/xcom/*", ""},
    # the frozen test set of a retraining is on the DVC remote
    "promote": {"decisions/*", "dvc/*", ""},
    # what people look at with a tool of their choice
    "engineer": {
        *("annotations/*", "cards/*", "decisions/*", "drops/*", "quarantine/*", "reports/*", "runs/*"),
        *("runs/*/published.json", "tables/*"),
    },
}
"""Role -> patterns that no command here needs."""


class Ward:
    """The store with the roles, and commands that run with one of them."""

    def __init__(self, store: RoleStore, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.store, self.folder, self._patch = store, folder, patch
        self.policies: dict[str, list[dict[str, Any]]] = {}

    def become(self, role: str) -> None:
        self._patch.setenv("AWS_ACCESS_KEY_ID", role)
        self._patch.setattr(boto3, "DEFAULT_SESSION", None)
        forget_client()
        s3_artifact_repo._cached_get_s3_client.cache_clear()
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def run(self, role: str, *words: str | Path, codes: tuple[int, ...] = (0,)) -> None:
        """A command, with its report where a container leaves it; the role is refused nothing."""
        self.become(role)
        result = ("--result", RESULT) if role not in PEOPLE else ()
        code = main([*map(str, words), *result, "--json", "--quiet"])
        assert self.store.record()[1] == [], words
        assert code in codes, words

    def report(self) -> Any:
        self.become("airflow")
        return json.loads(ObjectStore().get(RESULT))

    def put(self, role: str, objects: dict[str, bytes]) -> None:
        self.become(role)
        for uri, data in objects.items():
            ObjectStore().put(uri, data)


def deployed() -> Any:
    """Deploy the template; returns the statements of each role."""
    services = {name: boto3.client(name) for name in ("cloudformation", "iam")}
    account = "arn:aws:iam::123456789012:role"
    parameters = {"Name": NAME} | {f"{who}Principal": f"{account}/{who}" for who in ("Stages", "People", "Drop")}
    services["cloudformation"].create_stack(
        StackName="enigma",
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    (stack,) = services["cloudformation"].describe_stacks(StackName="enigma")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    policies = {r: services["iam"].get_role_policy(RoleName=f"{NAME}-{r}", PolicyName="places") for r in ROLES}
    return {role: _document(policy)["Statement"] for role, policy in policies.items()}


def _document(policy: Any) -> Any:
    return ast.literal_eval(policy["PolicyDocument"])  # as moto keeps what CloudFormation gives


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The deployed template, with every command run once by its role."""
    folder = tmp_path_factory.mktemp("ward")
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "gold.git")], check=True)
    with pytest.MonkeyPatch.context() as patch, role_store(folder / "store.log") as store:
        for name, value in {
            "AWS_ACCESS_KEY_ID": ADMINISTRATOR, "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": store.url, "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
            "ENIGMA_ACTOR": "ana", "ENIGMA_S3_ROOT": f"s3://{DATA}", "ENIGMA_S3_JOURNAL": f"s3://{JOURNAL}/journal",
            "ENIGMA_CACHE": str(folder / "cache"), "ENIGMA_GOLD_REPOSITORY": str(folder / "gold.git"),
            "ENIGMA_FORGET_KEY": "k" * 32, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        found = Ward(store, folder, patch)
        found.become(ADMINISTRATOR)
        found.policies = deployed()
        store.enforce(found.policies)
        with mlflow_server(folder, f"s3://{DATA}/mlflow") as url:
            patch.setenv("MLFLOW_TRACKING_URI", url)
            everything(found)
        yield found
    forget_client()


def everything(ward: Ward) -> None:
    """A promotion, a night with its review and its pages, an ingestion, and a note that is forgotten."""
    settings = load_settings()
    able = model_folder(ward.folder / "able", seed=1, able=True)
    write_corpus(planted(60, 100), ward.folder / "test")
    ward.run("train", "register", *WHO, "--model", model_folder(ward.folder / "unable", seed=1), "--first")
    ward.run("train", "register", *WHO, "--model", able)
    ward.run("promote", "challengers")
    ward.run("promote", "compare", *WHO, "--test", ward.folder / "test", *COST)
    decision = ward.report()["decisions"][0]["decision"]
    ward.run("promote", "promote", "--decision", decision, "--approved-by", "ana", *COST)
    ward.run("promote", "card", *WHO)

    notes = {f"{settings.drops}/es/2026-06-11/n{d.id}.txt": d.text.encode() for d in planted(6, 0)}
    ward.put("drop", notes | {f"{settings.drops}/es/2026-06-11/bad.txt": b"\xff\x00"})
    ward.run("plan", "plan", "--batch", NIGHT)
    for shard in ward.report()["shards"]:
        ward.run("annotate", "annotate", "--shard", shard)
    ward.run("publish", "publish", "--batch", NIGHT)
    ward.run("monitor", "select", "--batch", NIGHT)
    ward.become("reviewer")
    ward.put("reviewer", {f"{settings.reviewed}/ana/export.json": corrected(settings.to_review)})
    ward.run("monitor", "reviewed", "--batch", "import-1")
    ward.run("monitor", "monitor", "--batch", NIGHT)
    ward.run("monitor", "monitor", "--week", "2026-W24")
    ward.run("engineer", "explain", next(iter(notes)))
    ward.run("engineer", "review", "--note", next(iter(notes)), "--out", ward.folder / "note.html")
    ward.run("engineer", "registry", "history")

    gold = {f"{settings.gold}/es/all/june/{d.id}": d for d in planted(8, 300)}
    ward.put(ADMINISTRATOR, {f"{base}.txt": d.text.encode() for base, d in gold.items()})
    ward.put(ADMINISTRATOR, {f"{base}.ann": format_ann(d.entities).encode() for base, d in gold.items()})
    ward.run("ingest", "ingest", "--batch", "gold-1")
    ward.run("forget", "forget", next(iter(notes)), "--yes", "--gold", "--document", "n300")
    ward.run("plan", "plan", "--batch", "night-2")
    ward.run("publish", "publish", "--batch", "night-2")
    ward.run("monitor", "monitor", "--batch", "night-2")


def corrected(place: str) -> bytes:
    """The first task as a reviewer sends it back, who has corrected nothing."""
    store = ObjectStore()
    (tasks,) = [item.uri for item in store.list(f"{place}/") if item.uri.endswith("label-studio.json")]
    task = json.loads(store.get(tasks))[0]
    task["annotations"] = [{"id": 1, "result": task["predictions"][0]["result"]}]
    return json.dumps([task]).encode()


def test_the_template_has_no_errors() -> None:
    from cfnlint.api import lint

    assert [str(match) for match in lint(TEMPLATE.read_text())] == []


def test_buckets_are_private_encrypted_and_keep_versions_and_the_journal_is_locked() -> None:
    """In the template: moto's CloudFormation does not pass all of it on."""
    resources = yaml.safe_load(TEMPLATE.read_bytes())["Resources"]
    for name in ("Data", "Journal"):
        bucket = resources[name]["Properties"]
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms"}
        assert resources[f"{name}OverTls"]["Properties"]["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"
    rules = {r["Id"]: r for r in resources["Data"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    ends = {name: (rule["Prefix"], rule["ExpirationInDays"]["Ref"]) for name, rule in rules.items() if "Prefix" in rule}
    assert ends == {"runs": ("runs/", "RunsDays"), "to-review": ("to-review/", "ReviewDays")}
    assert rules["old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "OldVersionDays"}}
    lock = resources["Journal"]["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert lock == {"Mode": "COMPLIANCE", "Years": {"Ref": "JournalYears"}}


def test_no_principal_may_take_on_the_roles_of_another() -> None:
    """Else the machine that runs the stages could forget notes, and a person's account annotate."""
    trusted: dict[str, set[str]] = {}
    for resource in yaml.safe_load(TEMPLATE.read_bytes())["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            role = resource["Properties"]["RoleName"]["Fn::Sub"].removeprefix("${Name}-")
            (statement,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            given = statement["Principal"]["AWS"]
            trusted[role] = {one["Ref"] for one in (given if isinstance(given, list) else [given])}
    assert trusted.keys() == set(ROLES)
    of_people = {role: {"PeoplePrincipal"} for role in ("reviewer", "engineer", "forget")}
    both = {"promote": {"StagesPrincipal", "PeoplePrincipal"}}  # a rollback is by hand
    stages = {role: {"StagesPrincipal"} for role in trusted}
    assert trusted == stages | of_people | both | {"drop": {"DropPrincipal"}}


@pytest.mark.slow
def test_each_command_ran_with_its_role_and_was_refused_nothing(ward: Ward) -> None:
    asked, refused = ward.store.record()
    assert asked.keys() == set(ROLES)
    assert refused == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "places"),
    [
        ("s3:GetObject", READ),
        ("s3:PutObject", WRITE),
        ("s3:ListBucket", LIST),
        ("s3:DeleteObject", DELETE),
        ("s3:ListBucketVersions", {key: {"forget"} for key in LIST}),
        ("s3:GetObjectVersion", {key: {"forget"} for key in READ | WRITE}),
        ("s3:DeleteObjectVersion", {key: {"forget"} for key in READ | WRITE}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_may_reach_a_place(ward: Ward, action: str, places: dict[str, set[str]]) -> None:
    for key, expected in places.items():
        assert {r for r in ROLES if allows(ward.policies[r], Asked(action, DATA, key))} == expected, (action, key)


@pytest.mark.slow
def test_only_promotion_and_registration_append_to_the_journal_and_no_role_deletes_from_it(ward: Ward) -> None:
    def may(action: str) -> set[str]:
        asked = Asked(action, JOURNAL, "journal/enigma-es-disease/2.json")
        return {role for role in ROLES if allows(ward.policies[role], asked)}

    assert may("s3:PutObject") == {"train", "promote"}
    assert may("s3:DeleteObject") | may("s3:DeleteObjectVersion") == set()


@pytest.mark.slow
def test_a_role_that_asks_for_more_is_refused(ward: Ward) -> None:
    settings = load_settings()
    ward.become("annotate")
    objects = ObjectStore()
    for uri in (f"{settings.tables}/notes/_delta_log/{0:020}.json", f"{settings.gold}/es/all/june/n300.txt"):
        with pytest.raises(ServiceError, match="AccessDenied"):
            objects.get(uri)
    with pytest.raises(ServiceError, match="AccessDenied"):
        list(objects.list(f"{settings.drops}/"))
    assert len(ward.store.record()[1]) == 3
    ward.store.clear()


@pytest.mark.slow
def test_a_role_has_no_permission_that_its_commands_do_not_need(ward: Ward) -> None:
    """Every pattern of every statement was asked for, but for those that are named with a reason."""
    asked_by, _ = ward.store.record()
    unused = set()
    for role, statements in ward.policies.items():
        for statement in statements:
            for part in parts(statement):
                needed = any(allows([part], asked) for asked in asked_by[role])
                if not needed and name_of(part) not in NOT_ASKED_HERE.get(role, set()):
                    unused.add((role, name_of(part), *part["Action"]))
    assert unused == set()


def parts(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A statement for each of its actions, resources and prefixes."""
    prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", [None])
    for action in statement["Action"]:
        if action == "s3:AbortMultipartUpload":
            continue  # of an upload in parts that fails
        for resource in statement["Resource"]:
            for prefix in prefixes:
                condition = {} if prefix is None else {"Condition": {"StringLike": {"s3:prefix": [prefix]}}}
                yield {"Effect": "Allow", "Action": [action], "Resource": [resource], **condition}


def name_of(part: dict[str, Any]) -> str:
    if "Condition" in part:
        return str(part["Condition"]["StringLike"]["s3:prefix"][0])
    return str(part["Resource"][0]).removeprefix(f"arn:aws:s3:::{DATA}").removeprefix("/")


def test_every_place_of_the_settings_is_in_the_template() -> None:
    text = TEMPLATE.read_text()
    assert [p for p in S3_PLACES if f"/{p.replace('_', '-')}/" not in text.replace('"', "/")] == []
