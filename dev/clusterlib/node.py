"""The node: containerd, kubelet and kube-proxy in a mount namespace of their own. I/O: starts them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from clusterlib import cgroup, nodeconfig, pki
from clusterlib.api import Api, endpoint_ok
from clusterlib.errors import Failure, Missing
from clusterlib.launcher import Launcher
from clusterlib.pki import pair
from clusterlib.process import Process
from clusterlib.settings import CONTAINERD_SOCKET, NODE_BIN, NODE_CONFIG, NODE_IP, NODE_VOLUMES, Cluster

CONTAINERD = "containerd"
# The namespace of containerd that kubelet's containers and images are in.
NAMESPACE = "k8s.io"


def check_kernel() -> None:
    """Refuse, in one line, a kernel that can't run containers the way they are set up here."""
    if "overlay" in Path("/proc/filesystems").read_text().split():
        return
    if (
        shutil.which("modprobe")
        and subprocess.run(["modprobe", "overlay"], capture_output=True, check=False).returncode == 0
    ):
        return
    raise Missing("the kernel has no overlay file system: load its module, or use --mode control-plane")


def start_containerd(launcher: Launcher, tools: Path) -> Process:
    cluster = launcher.cluster
    cgroup.create(cluster.cgroup)
    _write_files(cluster)
    lib, log = _lib(cluster), cluster.data_dir / "var-log"
    log.mkdir(parents=True)
    argv = ["unshare", "--mount", "--propagation", "private"]
    argv += ["sh", "-c", nodeconfig.mount_script(), "node-mounts", str(lib), str(log), str(tools)]
    argv += ["containerd", "--config", str(NODE_CONFIG / "containerd.toml")]
    launcher.start(CONTAINERD, argv)
    process = launcher.state.components[CONTAINERD]
    launcher.await_ready(CONTAINERD, lambda: ctr(process, ["version"]).returncode == 0, 30)
    return process


def import_archive(containerd: Process, archive: Path) -> list[str]:
    """Import an OCI archive; the references of the images that were in it."""
    # By standard input: the node doesn't see all of the machine's folders.
    with archive.open("rb") as stream:
        done = ctr(containerd, ["--namespace", NAMESPACE, "images", "import", "-"], stream.fileno())
    if done.returncode != 0:
        raise Failure(f"importing {archive}: {done.stderr.strip()}")
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("unpacking ")]


def ctr(containerd: Process, arguments: list[str], stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    argv = [*_inside(containerd), "ctr", "--address", str(CONTAINERD_SOCKET), *arguments]
    return subprocess.run(argv, stdin=stdin, capture_output=True, text=True, check=False)


def start_kubelet(launcher: Launcher, containerd: Process) -> None:
    argv = [
        *_inside(containerd),
        str(NODE_BIN / "kubelet"),
        f"--config={NODE_CONFIG / 'kubelet.json'}",
        f"--kubeconfig={NODE_CONFIG / 'kubelet.yaml'}",
        f"--hostname-override={launcher.cluster.node_name}",
        f"--node-ip={NODE_IP}",
    ]
    launcher.start("kubelet", argv)


def start_proxy(launcher: Launcher, containerd: Process) -> None:
    config = NODE_CONFIG / "kube-proxy.json"
    launcher.start("kube-proxy", [*_inside(containerd), str(NODE_BIN / "kube-proxy"), f"--config={config}"])


def await_ready(launcher: Launcher, api: Api) -> None:
    health = nodeconfig.KUBELET_HEALTH_PORT, nodeconfig.PROXY_HEALTH_PORT
    launcher.await_ready("kubelet", lambda: endpoint_ok(health[0], "/healthz"), 60)
    launcher.await_ready("kube-proxy", lambda: endpoint_ok(health[1], "/healthz"), 60)
    launcher.await_ready("kubelet", lambda: api.node_ready(launcher.cluster.node_name), 60)


def _write_files(cluster: Cluster) -> None:
    """Put into the node's private /var/lib what its parts read."""
    lib = _lib(cluster)
    config = lib / NODE_CONFIG.relative_to("/var/lib")
    cni = lib / nodeconfig.CNI_CONFIG_DIR.relative_to("/var/lib")
    for directory in (config, cni, lib / NODE_BIN.relative_to("/var/lib"), lib / NODE_VOLUMES.relative_to("/var/lib")):
        directory.mkdir(parents=True)
    serving = pair(cluster, "kubelet")
    shutil.copy(serving.certificate, config / "kubelet.crt")
    shutil.copy(serving.key, config / "kubelet.key")
    shutil.copy(pair(cluster, "ca").certificate, config / "ca.crt")
    node_user = f"system:node:{cluster.node_name}"
    shutil.copy(pki.kubeconfig(cluster, node_user, ["system:nodes"]), config / "kubelet.yaml")
    shutil.copy(pki.kubeconfig(cluster, "system:kube-proxy", []), config / "kube-proxy.yaml")
    (config / "containerd.toml").write_text(nodeconfig.containerd())
    (config / "kubelet.json").write_text(json.dumps(nodeconfig.kubelet(cluster), indent=2))
    (config / "kube-proxy.json").write_text(json.dumps(nodeconfig.proxy(cluster), indent=2))
    (config / "resolv.conf").write_text(nodeconfig.resolv_conf())
    (cni / "10-pods.conflist").write_text(json.dumps(nodeconfig.cni(), indent=2))


def _lib(cluster: Cluster) -> Path:
    return cluster.data_dir / "var-lib"


def _inside(containerd: Process) -> list[str]:
    return ["nsenter", f"--mount=/proc/{containerd.pid}/ns/mnt", "--"]
