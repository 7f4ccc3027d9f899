"""What a cluster is called, where its things are and which addresses it uses. No I/O."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from clusterlib.errors import Failure

KUBERNETES_VERSION = "v1.36.3"

API_PORT = 6443
API_LOCAL_URL = f"https://127.0.0.1:{API_PORT}"
# Every cluster has a network namespace of its own, so all can use the same addresses.
NODE_IP = "198.18.255.1"
NODE_CIDR = "198.18.255.0/24"
# Leads nowhere: it only makes a default route possible, without which neither
# Service addresses nor the API server's advertised address work.
GATEWAY_IP = "198.18.255.254"
POD_CIDR = "198.18.0.0/24"
SERVICE_CIDR = "198.19.0.0/16"
API_SERVICE_IP = "198.19.0.1"
CLUSTER_DOMAIN = "cluster.local"

# Inside the node's mount namespace /run, /var/lib and /var/log are private, so
# there the parts of a node use their customary paths.
NODE_PRIVATE = Path("/var/lib/kr8tiv")
NODE_BIN = NODE_PRIVATE / "bin"
NODE_CONFIG = NODE_PRIVATE / "config"
NODE_VOLUMES = Path("/var/lib/local-path")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")

DEFAULT_NAME = "kr8tiv"
# 20 keeps cgroup and object names that contain it well below every limit.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")


class Mode(StrEnum):
    """How much of a cluster there is."""

    CONTROL_PLANE = "control-plane"
    KWOK = "kwok"
    NODE = "node"


@dataclass(frozen=True)
class Cluster:
    """The identity of a cluster: everything else about where it lives follows from it."""

    name: str
    run_root: Path
    data_root: Path

    @classmethod
    def named(cls, name: str) -> Cluster:
        if not _NAME.fullmatch(name):
            raise Failure(f"{name!r} is no cluster name: use 1 to 20 lower-case letters, digits and inner hyphens")
        run_root, data_root = roots()
        return cls(name, run_root, data_root)

    @property
    def run_dir(self) -> Path:
        """Small things: state, logs, keys, the network namespace."""
        return self.run_root / self.name

    @property
    def data_dir(self) -> Path:
        """Big things. Not below /run, which elsewhere is small and mounted noexec."""
        return self.data_root / self.name

    @property
    def lock_file(self) -> Path:
        return self.run_root / f".{self.name}.lock"

    @property
    def state_file(self) -> Path:
        return self.run_dir / "cluster.json"

    @property
    def netns(self) -> Path:
        return self.run_dir / "netns"

    @property
    def bin_dir(self) -> Path:
        """The programs that `exec` puts on PATH."""
        return self.run_dir / "bin"

    @property
    def log_dir(self) -> Path:
        return self.run_dir / "log"

    @property
    def audit_log(self) -> Path:
        return self.log_dir / "audit.log"

    @property
    def pki_dir(self) -> Path:
        return self.run_dir / "pki"

    @property
    def kubeconfig_dir(self) -> Path:
        return self.run_dir / "kubeconfig"

    @property
    def admin_kubeconfig(self) -> Path:
        return self.kubeconfig_dir / "admin.yaml"

    @property
    def node_name(self) -> str:
        return f"{self.name}-node"

    def fake_node_name(self, index: int) -> str:
        return f"{self.name}-fake-{index}"

    @property
    def cgroup(self) -> str:
        """The cgroup below which all containers of the cluster live."""
        return f"kr8tiv-{self.name}"

    def log(self, component: str) -> Path:
        return self.log_dir / f"{component}.log"


def roots() -> tuple[Path, Path]:
    """Where the run and data folders of all clusters are."""
    run = Path(os.environ.get("KR8TIV_RUN") or "/run/kr8tiv").absolute()
    data = Path(os.environ.get("KR8TIV_DATA") or "/var/lib/kr8tiv").absolute()
    return run, data
