"""Values for Airflow's official chart: keys that the chart has, options that Airflow has, and one story in all files.

The chart itself is in no registry of packages, so its keys are data beside this test.
"""

from __future__ import annotations

import copy
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.dags.kubernetes_api import VERSION

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "infra/kubernetes"
HELM = KUBERNETES / "helm"
SCHEMA = yaml.safe_load(Path(__file__).with_name("helm_values.schema.yaml").read_bytes())
EXECUTORS = ("kubernetes-executor", "celery-executor")


def merged(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges files of values: tables key by key, anything else replaced."""
    result = copy.deepcopy(base)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def values_of(executor: str) -> dict[str, Any]:
    """What an installation with this executor gives to the chart."""
    files = [yaml.safe_load((HELM / f"{name}.yaml").read_bytes()) for name in ("airflow", executor)]
    return merged(*files)


@pytest.fixture(params=EXECUTORS)
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    return values_of(request.param)


def workers_of(values: dict[str, Any]) -> dict[str, Any]:
    (workers,) = values["workers"].values()
    return dict(workers)


def manifest(file: str, kind: str) -> dict[str, Any]:
    return next(d for d in yaml.safe_load_all((KUBERNETES / file).read_bytes()) if d["kind"] == kind)


def test_every_file_is_of_one_installation_at_least() -> None:
    assert {path.stem for path in HELM.iterdir()} == {"airflow", *EXECUTORS}


def test_the_chart_has_every_key(values: dict[str, Any]) -> None:
    jsonschema.validate(values, SCHEMA)


@pytest.mark.parametrize(
    "broken", [{"worker": {}}, {"redis": {"enabled": "yes"}}, {"data": {"metadataSecretName": "A_b"}}]
)
def test_a_key_that_the_chart_does_not_have_is_seen(broken: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(values_of(EXECUTORS[0]), broken), SCHEMA)


def test_airflow_has_every_option(values: dict[str, Any]) -> None:
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    known = conf.configuration_description
    for section, options in values["config"].items():
        assert options.keys() <= known[section]["options"].keys(), section


def test_what_metrics_are_sent_by_is_in_airflows_image(values: dict[str, Any]) -> None:
    lock = (ROOT / "requirements/airflow.lock").read_text()
    assert values["statsd"]["enabled"] is ("\nstatsd==" in lock)
    assert "\nopentelemetry-exporter-otlp" in lock


def test_airflows_image_is_of_the_version_that_the_locks_name(values: dict[str, Any]) -> None:
    lock = (ROOT / "requirements/airflow.lock").read_text()
    assert f"\napache-airflow=={values['airflowVersion']} " in lock


def test_every_pod_that_the_values_describe_is_valid_and_confined(values: dict[str, Any]) -> None:
    for part in (
        values["scheduler"],
        values["apiServer"],
        values["dagProcessor"],
        values["triggerer"],
        workers_of(values),
    ):
        container = {
            "name": "base",
            "image": f"{values['images']['airflow']['repository']}:{values['images']['airflow']['tag']}",
            "env": values["env"],
            "envFrom": yaml.safe_load(values["extraEnvFrom"]),
            "resources": part["resources"],
            "securityContext": values["securityContexts"]["containers"],
            "volumeMounts": values["volumeMounts"],
        }
        spec = {
            "containers": [container],
            "volumes": values["volumes"],
            "securityContext": values["securityContexts"]["pod"],
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
        kubernetes_validate.validate(pod, VERSION, strict=True)
        assert part["resources"]["limits"]["memory"] == part["resources"]["requests"]["memory"]


def test_no_value_is_a_secret(values: dict[str, Any]) -> None:
    from runtimes.image import is_secret

    assert not [e["name"] for e in values["env"] if is_secret(e["name"], e["value"]) and "SECRET" not in e["name"]]
    named = {e["name"]: e["value"] for e in values["env"]}
    assert named["ENIGMA_KUBERNETES_SECRET"] == "enigma-{stage}"  # the name of one for each stage
    options = [str(v) for section in values["config"].values() for v in section.values()]
    assert not [v for v in options if "://" in v and "@" in v]


def test_the_gpu_pool_is_made_by_a_command_that_airflow_has(values: dict[str, Any]) -> None:
    from airflow.cli.cli_parser import get_parser

    job = values["migrateDatabaseJob"]
    assert job["command"] == ["bash", "-c"]
    (line,) = job["args"]
    migrate, pool = (shlex.split(command) for command in line.removeprefix("exec ").split("&&"))
    for program, *words in (migrate, pool):
        assert program == "airflow"
        get_parser().parse_args(words)
    assert pool[:4] == ["airflow", "pools", "set", "gpu"]


def test_workers_have_the_account_that_may_start_stages(values: dict[str, Any]) -> None:
    (subject,) = manifest("airflow-access.yaml", "RoleBinding")["subjects"]
    assert workers_of(values)["serviceAccount"]["name"] == subject["name"]


def test_workers_reach_the_namespace_the_registry_and_the_pod_that_the_manifests_have(values: dict[str, Any]) -> None:
    named = {e["name"]: e["value"] for e in values["env"]}
    service = manifest("mlflow.yaml", "Service")
    place = (
        f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    )
    assert named["MLFLOW_TRACKING_URI"] == f"http://{place}"
    server = manifest("mlflow.yaml", "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert place in next(word for word in server["args"] if word.startswith("--allowed-hosts=")).partition("=")[
        2
    ].split(",")
    assert named["ENIGMA_KUBERNETES_NAMESPACE"] == manifest("namespace.yaml", "Namespace")["metadata"]["name"]
    template = Path(named["ENIGMA_KUBERNETES_GPU_POD"])
    assert (KUBERNETES / template.name).exists()
    assert str(template.parent) in [m["mountPath"] for m in values["volumeMounts"]]


def test_every_variable_is_one_that_dags_or_stages_read(values: dict[str, Any]) -> None:
    from runtimes.image import NOT_PASSED_ON, passed_on

    names = {e["name"] for e in values["env"]}
    assert names - NOT_PASSED_ON == passed_on(dict.fromkeys(names, "")).keys()
