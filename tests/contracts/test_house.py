"""What must agree across files: imports, layers, stage words, locks. See docs/architecture.md, "Rooms and layers"."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from enigma_tasks.cli import COMMANDS, build_parser
from enigma_tasks.config import Params, load_params
from enigma_tasks.documents import LABELS, EntityType
from enigma_tasks.params.strategies import STRATEGIES
from tests.unit.ner_builders import model_folder

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "enigma_tasks"
MODULES = sorted(PACKAGE.rglob("*.py"))

# layer -> layers of the package that it may import (besides its own), every arrow downwards
RECORDS = {"documents", "languages", "config", "params", "errors", "estimates", "artifacts", "file_names"}
RECORDS |= {"paths", "children", "unforeseen"}
CORE = {"ner", "ner/text", "ner/network", "ner/training"}
LAYERS = {
    "errors": set(),
    "frozen": {"errors"},
    "estimates": {"frozen"},
    "threads": set(),
    "children": set(),
    "leftovers": {"errors"},
    "report_table": set(),
    "standard_error": set(),
    "unforeseen": {"errors", "standard_error"},
    "licences": {"frozen"},
    "paper_tables": {"artifacts", "documents", "errors", "frozen"},
    "file_names": set(),
    "paths": {"errors"},
    "documents": {"errors"},
    "patience": set(),
    "params": {"documents", "frozen", "patience"},
    "languages": {"frozen"},
    "environment": {"errors"},
    "s3_settings": {"errors", "frozen"},
    "yaml_text": set(),
    "params_file": {"errors", "yaml_text"},
    "config": {"s3_settings", "errors", "frozen", "languages", "params", "params_file"},
    "workfolder": {"environment", "errors", "leftovers"},
    "artifacts": {"config", "errors", "file_names"},
    "annotation_places": {"file_names", "notes"},
    "training_places": {"artifacts", "config", "errors"},
    "decision_places": {"errors"},
    "card_places": set(),
    "cli_gold": {"documents"},
    "cli_promotion": {"documents"},
    "cli_notes": set(),
    "review_places": {"artifacts", "config", "file_names"},
    "formats": {"documents", "errors", "file_names", "languages", "notes", "params", "paths", "unforeseen"},
    "ner/text": {"documents", "errors", "languages", "params"},
    "ner/network": {"errors", "params", "ner/text"},
    "ner": RECORDS | {"frozen", "ner/text", "ner/network"},
    "ner/training": RECORDS | {"ner", "ner/text", "ner/network"},
    "members": RECORDS | {"frozen"} | CORE,
    "ensembles": RECORDS | {"frozen", "members"} | CORE,
    "gold": RECORDS | {"frozen", "formats", "notes"},
    "synthetic": {"documents", "errors"},
    "augmentation": {"documents", "errors", "languages", "params", "formats", "gold", "ner/text", "synthetic"},
    "notes": RECORDS | {"frozen"},
    "monitoring": RECORDS | {"frozen", "estimates", "notes", "ner"},
    "pages": RECORDS
    | {"frozen", "formats", "ner", "notes", "promotion", "monitoring", "estimates"}
    | {"ensembles", "licences"},
    "promotion": RECORDS | {"frozen", "ner", "ensembles", "licences"},
    "cli": {"cli_gold", "cli_notes", "cli_promotion", "documents", "config", "environment", "errors"}
    | {"params", "notes", "adapters", "report_table", "standard_error", "workfolder"},
}
LAYERS["adapters"] = set(LAYERS) - {"cli", "pages", "synthetic", "augmentation", "formats"}
LAYERS["stages"] = set(LAYERS) - {"cli"}
# library -> the only place that may import it
HOMES = {
    "boto3": ("adapters/object_store.py", "adapters/s3_client.py"),
    "cassis": "formats/imports/inception.py",
    "cleanlab": "ner/suspects.py",
    "botocore": "adapters/",
    "deltalake": ("adapters/night_table.py", "adapters/night_publication.py", "adapters/table_purge.py"),
    "great_expectations": "adapters/expectations.py",
    "huggingface_hub": "adapters/model_hub.py",
    "lingua": "adapters/language_detection.py",
    "mlflow": "adapters/",
    "gliner": "members/gliner",
    "httpx2": "adapters/llm_endpoint.py",
    "openai": "adapters/llm_endpoint.py",
    "sklearn": ("ensembles/learned_voting.py", "ensembles/calibration.py"),
    "torch": ("ner/", "members/gliner"),
    "transformers": ("ner/", "members/gliner"),
    "tokenizers": "ner/",
}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return found


def layer_of(module: str) -> str:
    """`enigma_tasks.ner.text.windows` -> `ner/text`; a module of `ner` itself -> `ner`."""
    parts = module.split(".")[1:]
    inner = "/".join(parts[:2])
    return inner if inner in LAYERS else parts[0]


def broken_imports(path: Path, root: Path) -> set[str]:
    """What a module imports from a layer that is not below its own, from another stage, or from Airflow."""
    module = ".".join(("enigma_tasks", *path.relative_to(root).with_suffix("").parts))
    own = layer_of(module)
    wrong = set()
    for imported in imports_of(path):
        if imported.split(".")[0] == "airflow":
            wrong.add(imported)
        elif imported.startswith("enigma_tasks."):
            layer = layer_of(imported)
            other_stage = own == "stages" and layer == "stages"
            if other_stage or layer not in LAYERS[own] | {own}:
                wrong.add(imported)
    return wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_layers_below_its_own_and_never_airflow(path: Path) -> None:
    if path.relative_to(PACKAGE).parts[0] not in {"__init__.py", "__main__.py"}:
        assert not broken_imports(path, PACKAGE)


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("formats/planted.py", "from enigma_tasks.gold.rules import Fold"),
        ("ner/text/planted.py", "from enigma_tasks.ner.engine import Engine"),
        ("ner/planted.py", "from enigma_tasks.ner.training.train import train"),
        ("ensembles/planted.py", "import enigma_tasks.adapters.object_store"),
        ("stages/planted.py", "def run():\n    from enigma_tasks.stages.annotate import run"),
        ("stages/planted.py", "from enigma_tasks.stages import annotate"),
        ("gold/planted.py", "from airflow.sdk import DAG"),
    ],
)
def test_a_planted_upward_import_is_found(tmp_path: Path, place: str, line: str) -> None:
    planted = tmp_path / place
    planted.parent.mkdir(parents=True)
    planted.write_text(line + "\n")
    assert broken_imports(planted, tmp_path)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_third_party_service_is_imported_in_its_adapter_only(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    for library in {m.split(".")[0] for m in imports_of(path)} & set(HOMES):
        assert relative.startswith(HOMES[library]) or (library == "torch" and relative == "stages/doctor.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_environment_is_read_in_config_only(path: Path) -> None:
    if path.name in {"config.py", "environment.py", "s3_settings.py"}:
        return
    attributes = {n.attr for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Attribute)}
    assert not attributes & {"environ", "getenv", "putenv"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; sys.stdout.write(json.dumps(sorted(sys.modules)))"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return set(json.loads(done.stdout))


def test_the_command_line_loads_the_standard_library_only() -> None:
    help_text = "import contextlib, io, enigma_tasks.cli as c\nwith contextlib.redirect_stdout(io.StringIO()):\n"
    loaded = loaded_by(help_text + "    try: c.main(['--help'])\n    except SystemExit: pass")
    before = loaded_by("")
    foreign = {m.split(".")[0] for m in loaded - before} - set(sys.stdlib_module_names) - {"enigma_tasks"}
    assert not foreign


NOT_FOR_A_SHARD = {
    "deltalake", "dvc", "gliner", "great_expectations", "lingua", "mlflow", "openai", "pandas", "pyarrow.dataset",
    "sklearn",
}  # fmt: skip


def test_annotating_a_note_with_encoders_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Every shard is a process of its own, so this is paid for each of them (benchmarks/annotate_start_up.py)."""
    model_folder(tmp_path)
    loaded = loaded_by(
        "import enigma_tasks.stages.annotate\n"
        "from pathlib import Path\n"
        "from enigma_tasks.documents import Document\n"
        "from enigma_tasks.ensembles.loaded_members import load_members\n"
        "from enigma_tasks.ner.model_folder import model_digest\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "members = load_members({model_digest(folder): folder}, 512)\n"
        "assert members.read([Document('n', 'Fiebre alta.', language='es')]).entities\n"
    )
    assert {"torch", "transformers", "boto3", "pyarrow.parquet"} <= loaded
    assert NOT_FOR_A_SHARD & loaded == set()


def test_every_stage_module_is_a_sub_command_and_the_other_way_round() -> None:
    modules = {p.stem for p in (PACKAGE / "stages").glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


def test_a_params_section_is_shared_vocabulary_or_a_stage_word() -> None:
    sections = {field.alias or name for name, field in Params.model_fields.items()}
    assert sections - {"seed", "languages", "members", "ensembles", "notes", "training", "promotion"} <= set(COMMANDS)


def test_airflow_tasks_and_dvc_stages_are_stage_words() -> None:
    called = set()
    for path in (ROOT / "dags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("container_task"):
                assert isinstance(node.args[0], ast.Constant)
                called.add(node.args[0].value)
    assert called
    assert called <= set(COMMANDS)
    assert set(yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]) <= set(COMMANDS)


def names_compared_with(path: Path) -> set[str]:
    """The strings that a module compares something with by `==`, `!=`, `in` or `not in`."""
    compared = [n for n in ast.walk(ast.parse(path.read_bytes())) if isinstance(n, ast.Compare)]
    sides = [side for n in compared for side in (n.left, *n.comparators)]
    parts = [p for side in sides for p in (side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side])]
    return {p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)}


ENTRIES = {*load_params(ROOT / "params.yaml").languages, *EntityType, *LABELS, *STRATEGIES}
"""Names of languages, entity types and voting strategies: each is one entry in a table."""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_is_special_about_a_language_a_type_or_a_strategy_is_in_its_entry(path: Path) -> None:
    assert not names_compared_with(path) & ENTRIES


def test_a_planted_comparison_with_a_language_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('fine = "nl"\nif language in ("cs", "sk"):\n    pass\n')
    assert names_compared_with(planted) & ENTRIES == {"cs"}


PLUMBING = {"cli", "config", "errors", "frozen", "params", "artifacts", "threads", "stages", "notes"}
"""Code that carries a stage's inputs and outputs; what it is told by params.yaml is among the stage's `params`."""
DATA_BESIDE_CODE = {"enigma_tasks/documents.py": "enigma_tasks/entity_types.toml"}
"""Data that a module outside any room reads."""
JUDGES = {"adapters/expectations", "adapters/language_detection"}
"""The adapters whose answers are part of a stage's output."""


def code_behind(stage: str) -> set[str]:
    """The places in the package whose code decides what a stage of the training path writes, by its imports."""
    seen: set[str] = set()
    waiting = [f"enigma_tasks.stages.{stage}"]
    places = {f"enigma_tasks/stages/{stage}.py"}
    while waiting:
        module = waiting.pop()
        path = ROOT / (module.replace(".", "/") + ".py")
        if module in seen or not path.is_file():
            continue
        seen.add(module)
        name, layer = "/".join(module.split(".")[1:]), layer_of(module)
        if layer == "adapters" and name not in JUDGES:
            continue
        waiting += [m for m in imports_of(path) if m.startswith("enigma_tasks.")]
        if layer == "adapters":
            places.add(f"enigma_tasks/{name}.py")
        elif layer not in PLUMBING:
            places.add(f"enigma_tasks/{layer}" if (PACKAGE / layer).is_dir() else f"enigma_tasks/{layer}.py")
    places |= {data for code, data in DATA_BESIDE_CODE.items() if code in places}
    return {p for p in places if not any(p.startswith(f"{other}/") for other in places)}


def test_a_dvc_stage_depends_on_all_the_code_that_it_runs() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_bytes())["stages"]
    for stage, body in stages.items():
        named = {d for d in body["do"]["deps"] if d.startswith("enigma_tasks/")}
        assert named == code_behind(stage), stage


def test_every_command_has_help_and_the_common_options() -> None:
    parser = build_parser()
    for word in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            parser.parse_args([word, "--help"])
        assert stop.value.code == 0


def leaves(tree: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += leaves(value, f"{prefix}{key}.")
    return found


def test_a_misspelt_key_anywhere_in_params_is_refused_by_name(tmp_path: Path) -> None:
    from enigma_tasks.errors import UsageError

    source = yaml.safe_load((ROOT / "params.yaml").read_bytes())
    free = {"languages", "members", "ensembles", "training"}  # their keys are names that a person chooses
    for path in leaves(source):
        *sections, key = path.split(".")
        if sections and sections[-1] in free:
            continue
        tree = json.loads(json.dumps(source))
        place = tree
        for section in sections:
            place = place[section]
        place[f"{key}_misspelt"] = place.pop(key)
        (tmp_path / "params.yaml").write_text(json.dumps(tree))  # JSON is YAML, and quicker to write
        with pytest.raises(UsageError, match=f"{key}_misspelt"):
            load_params(tmp_path / "params.yaml")


def test_the_two_environments_stay_apart() -> None:
    names = {
        lock: {
            line.split("==")[0].split("[")[0] for line in (ROOT / f"requirements/{lock}.lock").read_text().splitlines()
        }
        for lock in ("tasks", "airflow", "dev")
    }
    assert not {n for n in names["tasks"] if n.startswith("apache-airflow")}
    assert not names["airflow"] & {"torch", "transformers", "mlflow", "deltalake"}
    assert {"torch", "apache-airflow", "pytest"} <= names["dev"]


def test_the_readme_names_every_top_level_place() -> None:
    tree = (ROOT / "README.md").read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    places = {p.split("/")[0] + "/" if "/" in p else p for p in tracked if p and not p.startswith(".")}
    packages = {f"{p.name}/" for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    for place in places | packages:
        assert re.search(rf"(?<![\w/]){re.escape(place)}", tree), f"README.md does not mention {place}"
