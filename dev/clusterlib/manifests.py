"""The API objects a fresh cluster gets, each with the path it is applied to. No I/O."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clusterlib.api import is_ready
from clusterlib.ociarchive import HELPER_REFERENCE
from clusterlib.settings import CLUSTER_DOMAIN, NODE_IP

Document = dict[str, Any]
Placed = tuple[str, Document]

RBAC = "rbac.authorization.k8s.io"
LOCAL_PATH_NAMESPACE = "local-path-storage"
LOCAL_PATH_CONFIG = "local-path-config"
LOCAL_PATH_ACCOUNT = "local-path-provisioner"
LOCAL_PATH_PROVISIONER = "rancher.io/local-path"

_WATCH = ["get", "list", "watch"]
_WRITE = ["create", "update", "patch", "delete"]


def dns(user: str) -> list[Placed]:
    rules = [
        _rule("", ["endpoints", "services", "pods", "namespaces", "nodes"], ["list", "watch"]),
        _rule("discovery.k8s.io", ["endpointslices"], ["list", "watch"]),
    ]
    return _granted("kr8tiv:coredns", user, rules)


def corefile(kubeconfig: Path, ready_port: int) -> str:
    # Two servers, because `template` in one with `kubernetes` would answer first.
    return f"""\
{CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
    bind {NODE_IP}
    errors
    ready 127.0.0.1:{ready_port}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods verified
        ttl 5
    }}
}}
. {{
    bind {NODE_IP}
    errors
    # There is nobody to forward to: say at once that a name doesn't exist.
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def local_path(user: str) -> list[Placed]:
    namespace = LOCAL_PATH_NAMESPACE
    core = "/api/v1/namespaces"
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "helper-pod", "image": HELPER_REFERENCE, "imagePullPolicy": "Never"}],
        },
    }
    scripts = {
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": json.dumps(helper),
    }
    rules = [
        _rule("", ["nodes", "persistentvolumeclaims", "configmaps", "pods", "pods/log"], _WATCH),
        _rule("", ["persistentvolumes"], [*_WATCH, *_WRITE]),
        _rule("", ["events"], ["create", "patch"]),
        _rule("storage.k8s.io", ["storageclasses"], _WATCH),
    ]
    pod_rules = [_rule("", ["pods"], [*_WATCH, *_WRITE])]
    class_path, storage = storage_class("local-path", LOCAL_PATH_PROVISIONER, immediate=False)
    # `local` volumes, unlike `hostPath` ones, honour fsGroup: kubelet makes them
    # accessible for processes that don't run as root.
    storage["metadata"]["annotations"]["defaultVolumeType"] = "local"
    return [
        (f"{core}/{namespace}", _object("v1", "Namespace", namespace)),
        (
            f"{core}/{namespace}/serviceaccounts/{LOCAL_PATH_ACCOUNT}",
            {**_object("v1", "ServiceAccount", LOCAL_PATH_ACCOUNT, namespace), "automountServiceAccountToken": False},
        ),
        (
            f"{core}/{namespace}/configmaps/{LOCAL_PATH_CONFIG}",
            {**_object("v1", "ConfigMap", LOCAL_PATH_CONFIG, namespace), "data": scripts},
        ),
        *_granted("kr8tiv:local-path", user, rules),
        *_granted("kr8tiv:local-path", user, pod_rules, namespace),
        (class_path, storage),
    ]


def kwok(user: str) -> list[Placed]:
    rules = [
        _rule("", ["nodes", "pods"], [*_WATCH, *_WRITE]),
        _rule("", ["nodes/status", "pods/status"], ["update", "patch"]),
        _rule("", ["events"], [*_WATCH, *_WRITE]),
        _rule("coordination.k8s.io", ["leases"], [*_WATCH, *_WRITE]),
    ]
    return _granted("kr8tiv:kwok", user, rules)


def fake_node(name: str) -> Placed:
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "type": "kwok",
    }
    annotations = {"kwok.x-k8s.io/node": "fake"}
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return f"/api/v1/nodes/{name}", {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def storage_class(name: str, provisioner: str, *, immediate: bool) -> Placed:
    document = _object("storage.k8s.io/v1", "StorageClass", name)
    document["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    document["provisioner"] = provisioner
    document["reclaimPolicy"] = "Delete"
    document["volumeBindingMode"] = "Immediate" if immediate else "WaitForFirstConsumer"
    return f"/apis/storage.k8s.io/v1/storageclasses/{name}", document


def ready_count(nodes: list[Document]) -> int:
    return sum(is_ready(node) for node in nodes)


def _granted(name: str, user: str, rules: list[Document], namespace: str | None = None) -> list[Placed]:
    """A role with these rules, of the cluster or of one namespace, bound to one user."""
    prefix = "" if namespace else "Cluster"
    scope = f"/namespaces/{namespace}" if namespace else ""
    base = f"/apis/{RBAC}/v1{scope}/{prefix.lower()}role"
    version = f"{RBAC}/v1"
    role = {**_object(version, f"{prefix}Role", name, namespace), "rules": rules}
    binding = {
        **_object(version, f"{prefix}RoleBinding", name, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": f"{prefix}Role", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    return [(f"{base}s/{name}", role), (f"{base}bindings/{name}", binding)]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Document:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _object(version: str, kind: str, name: str, namespace: str | None = None) -> Document:
    metadata: Document = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
