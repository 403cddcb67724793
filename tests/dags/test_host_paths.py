"""Variables that name files of the worker: mounted into a container, covered by a pod's template, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "paciente-secreto-7431"
TEMPLATE = """
spec:
  containers:
    - {name: sidecar, env: [{name: AWS_CA_BUNDLE, value: /elsewhere}]}
    - name: base
      env: [{name: SSL_CERT_FILE, value: /etc/hospital/ca.pem}]
      volumeMounts: [{name: authority, mountPath: /etc/hospital}]
"""


def test_what_several_variables_name_is_mounted_once() -> None:
    from runtimes.host_paths import mounts

    found = mounts({
        "AWS_CA_BUNDLE": "/etc/ca.pem", "SSL_CERT_FILE": "/etc/ca.pem", "ENIGMA_MODEL_STORE": "/srv/models",
        "AWS_ENDPOINT_URL": "http://s3.example", "ENIGMA_S3_ROOT": "s3://night/p", "OMP_NUM_THREADS": "1",
    })  # fmt: skip
    assert [(m["Source"], m["Target"], m["ReadOnly"]) for m in found] == [
        ("/etc/ca.pem", "/etc/ca.pem", True), ("/srv/models", "/srv/models", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "address", ["", "https://git.example/gold.git", "ssh://git@git.example/gold.git", "git@git.example:gold.git"]
)
def test_a_repository_or_store_with_an_address_needs_no_mount(address: str) -> None:
    from runtimes.host_paths import mounts

    assert mounts({"ENIGMA_GOLD_REPOSITORY": address, "ENIGMA_MODEL_STORE": "s3://models/base"}) == []


@pytest.mark.parametrize("name", ["ENIGMA_GOLD_REPOSITORY", "ENIGMA_TRAINING_REPOSITORY"])
@pytest.mark.parametrize("place", [f"/srv/{CANARY}.git", f"{CANARY}.git", f"file:///srv/{CANARY}.git"])
def test_a_repository_in_a_folder_is_refused_without_showing_it(name: str, place: str) -> None:
    from runtimes.host_paths import mounts

    with pytest.raises(AirflowFailException, match=f"{name}.*needs an address") as failure:
        mounts({name: place})
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize("place", ["models", "../models", "file:///srv/models"])
def test_a_model_store_that_is_no_absolute_path_is_refused(place: str) -> None:
    from runtimes.host_paths import mounts

    with pytest.raises(AirflowFailException, match="ENIGMA_MODEL_STORE: not an absolute path"):
        mounts({"ENIGMA_MODEL_STORE": place})


def test_a_pod_gets_paths_that_its_template_mounts_and_what_the_template_sets_stays(tmp_path: Path) -> None:
    from runtimes.host_paths import of_pod

    template = tmp_path / "pod.yaml"
    template.write_text(TEMPLATE)
    given = {"SSL_CERT_FILE": "/etc/ssl/ca.pem", "AWS_CA_BUNDLE": "/etc/hospital/ca.pem", "NO_PROXY": "localhost"}
    assert of_pod(given, str(template)) == {"AWS_CA_BUNDLE": "/etc/hospital/ca.pem", "NO_PROXY": "localhost"}


def test_a_pod_is_refused_paths_that_its_template_does_not_mount(tmp_path: Path) -> None:
    from runtimes.host_paths import of_pod

    template = tmp_path / "pod.yaml"
    template.write_text(TEMPLATE)
    for path in ("/etc/hospital-2/ca.pem", "/etc/ssl/ca.pem"):
        with pytest.raises(AirflowFailException, match=r"AWS_CA_BUNDLE: .*ENIGMA_KUBERNETES_POD"):
            of_pod({"AWS_CA_BUNDLE": path}, str(template))
    with pytest.raises(AirflowFailException, match="ENIGMA_MODEL_STORE"):
        of_pod({"ENIGMA_MODEL_STORE": "/srv/models"}, None)
