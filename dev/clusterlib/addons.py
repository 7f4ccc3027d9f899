"""CoreDNS, the volume provisioner and kwok, as processes beside the cluster. I/O: API server, starts them."""

from __future__ import annotations

import json
from pathlib import Path

from clusterlib import manifests, pki
from clusterlib.api import Api, endpoint_ok
from clusterlib.launcher import Launcher
from clusterlib.ociarchive import HELPER_REFERENCE
from clusterlib.settings import NODE_VOLUMES

DNS_READY_PORT = 8181
KWOK_PORT = 10247


def start_dns(launcher: Launcher, api: Api, program: Path) -> None:
    cluster = launcher.cluster
    kubeconfig = pki.kubeconfig(cluster, "coredns", [])
    for path, document in manifests.dns("coredns"):
        api.apply(path, document)
    corefile = cluster.run_dir / "Corefile"
    corefile.write_text(manifests.corefile(kubeconfig, DNS_READY_PORT))
    launcher.start("coredns", [str(program), "-conf", str(corefile)])
    launcher.await_ready("coredns", lambda: endpoint_ok(DNS_READY_PORT, "/ready"), 60)


def start_volumes(launcher: Launcher, api: Api, program: Path) -> None:
    """The provisioner of the default StorageClass."""
    cluster = launcher.cluster
    name = "local-path-provisioner"
    kubeconfig = pki.kubeconfig(cluster, name, [])
    for path, document in manifests.local_path(name):
        api.apply(path, document)
    config = cluster.run_dir / "local-path.json"
    paths = [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(NODE_VOLUMES)]}]
    config.write_text(json.dumps({"nodePathMap": paths}))
    argv = [str(program), "start", f"--kubeconfig={kubeconfig}", f"--config={config}"]
    argv += [f"--provisioner-name={manifests.LOCAL_PATH_PROVISIONER}", f"--namespace={manifests.LOCAL_PATH_NAMESPACE}"]
    argv += [f"--helper-image={HELPER_REFERENCE}", f"--configmap-name={manifests.LOCAL_PATH_CONFIG}"]
    argv += [f"--service-account-name={manifests.LOCAL_PATH_ACCOUNT}", "--worker-threads=4"]
    launcher.start(name, argv)
    # It has no health endpoint; this is what it says once its watches are in sync.
    log = cluster.log(name)
    launcher.await_ready(name, lambda: "Started provisioner controller" in log.read_text(errors="replace"), 60)


def start_kwok(launcher: Launcher, api: Api, program: Path, nodes: int) -> None:
    cluster = launcher.cluster
    kubeconfig = pki.kubeconfig(cluster, "kwok", [])
    for path, document in manifests.kwok("kwok"):
        api.apply(path, document)
    argv = [
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=true",
        # Without leases of its own its nodes are taken for dead after 40 s.
        "--node-lease-duration-seconds=40",
        f"--server-address=127.0.0.1:{KWOK_PORT}",
        "--cidr=198.20.0.1/16",
    ]
    # Not below $HOME: what kwok would find there is the caller's, not this cluster's.
    launcher.start("kwok", argv)
    launcher.await_ready("kwok", lambda: endpoint_ok(KWOK_PORT, "/healthz"), 60)
    for index in range(nodes):
        path, document = manifests.fake_node(cluster.fake_node_name(index))
        api.apply(path, document)
    launcher.await_ready("kwok", lambda: manifests.ready_count(api.nodes()) >= nodes, 60 + nodes)


def apply_pretended_storage(api: Api) -> None:
    """A default StorageClass where no real volume is needed, because nothing real runs."""
    path, document = manifests.storage_class("pretended", "kubernetes.io/host-path", immediate=True)
    api.apply(path, document)
