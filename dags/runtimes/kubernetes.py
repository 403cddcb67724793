"""Runs a stage in a pod. The report is returned through S3; secrets are referred to by the name of a Secret."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodLaunchFailedException
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiException
from kubernetes.client import models as k8s

from runtimes import announce, check, command_line, push
from runtimes.ended_runs import EndedRuns
from runtimes.handover import MemoryRecord, out_of_memory, read_report, result_template
from runtimes.host_paths import of_pod, refuse
from runtimes.image import SHARED_MEMORY, WRITABLE, gpus, is_secret, memory_limit, passed_on, pinned_image
from runtimes.pods import DAG, MANAGED, NOT_FOUND, RUN, Ended, ended, remove_leftovers

USER = 10001
"""That of the image."""
GPU = "nvidia.com/gpu"
GPU_TOLERATION = k8s.V1Toleration(key=GPU, operator="Exists", effect="NoSchedule")
START_SECONDS = 900
"""To be scheduled, and again to start: a node with a GPU may have to be added, and the image is gigabytes."""
QUIET = ["tini", "--", "sh", "-c", 'exec enigma "$@" >/dev/null', "enigma"]
"""A pod's log mixes standard error with standard output, which has the whole report."""

DELETED = "the pod was deleted before it ended"


class KubernetesTask(KubernetesPodOperator):
    """`enigma <stage> <arguments>` in a pod of `ENIGMA_TASKS_IMAGE` that meets the restricted pod security standard.

    `ENIGMA_KUBERNETES_NAMESPACE` names the namespace, `ENIGMA_KUBERNETES_SECRET` the Secret whose keys are the secret
    variables (`{stage}` in it stands for the stage, as each may have a role of its own), `ENIGMA_KUBERNETES_POD` and
    `ENIGMA_KUBERNETES_GPU_POD` files with a pod to start from (node selector, tolerations, pull secrets, a mounted
    certificate authority; its container is named `base`). `ENIGMA_TASK_MEMORY` and `ENIGMA_GPU_MEMORY` are limits,
    `ENIGMA_TASK_CPUS` a request, `ENIGMA_GPUS` the number of GPUs of a GPU task.

    A pod that outlived its worker is found again by the next attempt (the provider's durable mode); one of a run that
    has ended is deleted by the next task of any run.
    """

    template_fields = ("arguments", "value", "result_uri")
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#dceefb"

    def __init__(
        self,
        *,
        stage: str,
        arguments: list[str],
        value: str | None = None,
        gpu: bool = False,
        returns: str | None = None,
        **policy: Any,
    ) -> None:
        start = int(os.environ.get("ENIGMA_KUBERNETES_START_SECONDS", START_SECONDS))
        secret = os.environ.get("ENIGMA_KUBERNETES_SECRET", "").replace("{stage}", stage)
        template = _template(gpu=gpu)
        super().__init__(
            name=f"enigma-{stage}",
            namespace=os.environ.get("ENIGMA_KUBERNETES_NAMESPACE"),
            image=pinned_image(),
            cmds=QUIET,
            labels={MANAGED: "true"},
            env_from=[k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=secret))] if secret else [],
            pod_template_file=template,
            full_pod_spec=k8s.V1Pod(spec=k8s.V1PodSpec(containers=[], enable_service_links=False)),
            container_resources=_resources(gpu=gpu),
            volumes=_volumes(),
            volume_mounts=_mounts(),
            # a pod to start from has tolerations of its own, which these would replace
            tolerations=[GPU_TOLERATION] if gpu and not template else None,
            automount_service_account_token=False,
            security_context=_pod_security(),
            container_security_context=_container_security(),
            schedule_timeout_seconds=start,
            startup_timeout_seconds=start,
            active_deadline_seconds=int(policy["execution_timeout"].total_seconds()),
            do_xcom_push=True,
            durable=True,
            on_finish_action="delete_pod",
            log_pod_spec_on_failure=False,
            container_name_log_prefix_enabled=False,
            **policy,
        )
        self.stage = stage
        self.arguments = arguments
        self.value = value
        self.returns = returns
        self.memory_limit = memory_limit(gpu=gpu)
        self.result_uri = result_template()
        self.ended: Ended | None = None

    def execute(self, context: Any) -> Any:
        """Run the stage; the harmless part of its report in S3 goes to XCom."""
        ti = context["ti"]
        # no earlier report is deleted: a pod that is found again may just have written it
        memory = MemoryRecord(self.result_uri)
        self.env_vars = _variables(memory.variables(), self.pod_template_file, has_secret=bool(self.env_from))
        self.annotations = {DAG: ti.dag_id, RUN: ti.run_id}
        # KubernetesPodOperator's field of this name; an attempt renders it from the template again
        self.arguments = [*command_line(self.stage, self.arguments, self.value), "--result", self.result_uri]
        self.do_xcom_push = False  # the provider would add a sidecar that reads the report from a file
        try:
            remove_leftovers(self.client, self._namespace(), EndedRuns(ti), self.log)
            super().execute(context)
        except PodLaunchFailedException:
            # without the cause, which may quote a registry's address with a password
            raise AirflowFailException(f"no pod of {self.image} can start: see the namespace's events") from None
        except ApiException as error:
            if error.status == NOT_FOUND and self.pod:
                raise AirflowException(DELETED) from None
            raise AirflowException(f"the cluster answered {error.status} {error.reason}") from None
        finally:
            self.do_xcom_push = True  # Airflow then stores what is returned, without which nothing can be mapped
        if self.ended is None:
            raise AirflowException(DELETED)
        if self.ended.out_of_memory:
            memory.add()
            raise out_of_memory(self.stage, f"{self.memory_limit >> 20} MiB")
        if self.ended.code is None:
            raise AirflowException(f"the pod was stopped: {self.ended.reason}")
        check(self.stage, self.ended.code)
        report = read_report(self.result_uri)
        announce(report, self.outlets, context)
        return push(report, self.returns, context)

    def cleanup(self, pod: Any, remote_pod: Any, xcom_result: Any = None, context: Any = None) -> None:  # noqa: ARG002
        """Note how the pod ended and delete it; `execute` decides on retries, by the exit code."""
        if self._killed or not remote_pod:
            return
        self.ended = ended(remote_pod)
        self.process_pod_deletion(remote_pod, reraise=False)

    def _namespace(self) -> str:
        return self.namespace or self.hook.get_namespace() or self._incluster_namespace or "default"


def _template(*, gpu: bool) -> str | None:
    general = os.environ.get("ENIGMA_KUBERNETES_POD")
    return (os.environ.get("ENIGMA_KUBERNETES_GPU_POD") or general) if gpu else general


def _variables(added: dict[str, str], template: str | None, *, has_secret: bool) -> list[k8s.V1EnvVar]:
    """What is not secret of the worker's variables.

    Raises:
        AirflowFailException: a secret variable is set and no Secret is named; a variable names a path that no pod has.
    """
    given = passed_on(os.environ)
    secret = sorted(name for name, value in given.items() if is_secret(name, value))
    if not has_secret:
        refuse(secret, "name a Secret with them in ENIGMA_KUBERNETES_SECRET")
    plain = {name: value for name, value in given.items() if name not in secret}
    return [k8s.V1EnvVar(name=name, value=value) for name, value in sorted((of_pod(plain, template) | added).items())]


def _resources(*, gpu: bool) -> k8s.V1ResourceRequirements:
    memory = str(memory_limit(gpu=gpu))
    # all GPUs of a machine cannot be asked for: the number must be known
    cards = {GPU: str(count)} if gpu and (count := abs(gpus())) else {}
    return k8s.V1ResourceRequirements(
        requests={"cpu": os.environ.get("ENIGMA_TASK_CPUS", "2"), "memory": memory, **cards},
        limits={"memory": memory, **cards},
    )


def _volumes() -> list[k8s.V1Volume]:
    own = [k8s.V1Volume(name=_name(folder), empty_dir=k8s.V1EmptyDirVolumeSource()) for folder in WRITABLE]
    shared = k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=str(SHARED_MEMORY))
    return [*own, k8s.V1Volume(name="shm", empty_dir=shared)]


def _mounts() -> list[k8s.V1VolumeMount]:
    own = [k8s.V1VolumeMount(name=_name(folder), mount_path=folder) for folder in WRITABLE]
    return [*own, k8s.V1VolumeMount(name="shm", mount_path="/dev/shm")]  # noqa: S108 - of the container


def _name(folder: str) -> str:
    return folder.rsplit("/", 1)[-1]


def _pod_security() -> k8s.V1PodSecurityContext:
    return k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    )


def _container_security() -> k8s.V1SecurityContext:
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )
