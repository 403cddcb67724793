"""The manifests for Kubernetes: valid by the published schemas, and enough, and not more, for what a task asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.dags.kubernetes_api import VERSION, restricted

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
MANIFESTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_bytes())
]


def manifest(file: str, kind: str, name: str) -> dict[str, Any]:
    found = yaml.safe_load_all((FOLDER / file).read_bytes())
    return next(d for d in found if (d["kind"], d["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("document", MANIFESTS)
def test_a_manifest_is_valid(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_manifest_with_an_unknown_field_is_not() -> None:
    broken = manifest("network-policy.yaml", "NetworkPolicy", "deny-all")
    broken["spec"]["podSelectors"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_everything_is_in_a_namespace_that_admits_restricted_pods_only() -> None:
    documents = [parameter.values[0] for parameter in MANIFESTS]
    enforced = {
        d["metadata"]["name"]: d["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for d in documents
        if d["kind"] == "Namespace"
    }
    assert enforced == {"enigma": "restricted", "mlflow": "restricted"}
    for document in documents:
        if document["kind"] not in ("Namespace", "Pod"):
            assert document["metadata"]["namespace"] in enforced


def test_mlflow_is_admitted_there() -> None:
    template = manifest("mlflow.yaml", "Deployment", "mlflow")["spec"]["template"]
    assert list(restricted(template)) == []
    assert template["spec"]["automountServiceAccountToken"] is False


def test_nothing_reaches_a_pod_and_a_pod_reaches_named_places_only() -> None:
    everything = manifest("network-policy.yaml", "NetworkPolicy", "deny-all")["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = manifest("network-policy.yaml", "NetworkPolicy", "stages-reach-their-services")["spec"]
    assert allowed["policyTypes"] == ["Egress"]
    assert all(rule["to"] and rule["ports"] for rule in allowed["egress"])
    blocks = [to["ipBlock"]["cidr"] for rule in allowed["egress"] for to in rule["to"] if "ipBlock" in to]
    assert all(block.endswith("/32") for block in blocks)
