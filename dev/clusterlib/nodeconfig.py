"""The configuration of a node's parts, as data. No I/O."""

from __future__ import annotations

from clusterlib.ociarchive import PAUSE_REFERENCE
from clusterlib.settings import (
    CLUSTER_DOMAIN,
    CONTAINERD_SOCKET,
    NODE_BIN,
    NODE_CONFIG,
    NODE_IP,
    POD_CIDR,
    Cluster,
)

CNI_CONFIG_DIR = NODE_CONFIG / "cni"
KUBELET_HEALTH_PORT = 10248
PROXY_HEALTH_PORT = 10256


def containerd() -> str:
    """For containerd 1.6. Paths are those inside the node's mount namespace."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# What the node can't lower, containerd must not try to lower.
oom_score = 0

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_REFERENCE}"
  # Without CAP_SYS_RESOURCE scores can't be lowered.
  restrict_oom_score_adj = true
  disable_apparmor = true
  # Not in the hard-coded /var/run/netns, which outlives the node.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{CNI_CONFIG_DIR}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def cni() -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}


def kubelet(cluster: Cluster) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(NODE_CONFIG / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(NODE_CONFIG / "kubelet.crt"),
        "tlsPrivateKeyFile": str(NODE_CONFIG / "kubelet.key"),
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [NODE_IP],
        "resolvConf": str(NODE_CONFIG / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "seccompDefault": True,
        "serializeImagePulls": False,
        "maxPods": 200,
        # 300 s by default: a container that ends again and again is waited for that long.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "10s"},
        # Limits and scores that a process without CAP_SYS_RESOURCE can't change.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        # Images come from archives and can't be pulled back once collected.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "1%",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
            "imagefs.inodesFree": "1%",
        },
        "shutdownGracePeriod": "0s",
        "shutdownGracePeriodCriticalPods": "0s",
        "healthzPort": KUBELET_HEALTH_PORT,
    }


def proxy(cluster: Cluster) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": cluster.node_name,
        "bindAddress": NODE_IP,
        "oomScoreAdj": 0,
        "healthzBindAddress": f"127.0.0.1:{PROXY_HEALTH_PORT}",
        "clientConnection": {"kubeconfig": str(NODE_CONFIG / "kube-proxy.yaml")},
        # Connection tracking limits can't be written in a network namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        # 1 s by default: a changed Service is then seen up to that much later.
        "iptables": {"minSyncPeriod": "100ms"},
    }


def resolv_conf() -> str:
    return f"nameserver {NODE_IP}\n"


def mount_script() -> str:
    """The shell script that gives a node its own view of the machine, then runs "$@".

    Its arguments: the node's folder that becomes /var/lib, the one that becomes
    /var/log, the folder of the programs, then the command. Whatever the node's
    parts leave in their hard-coded places (runc's state, CNI results, shim
    sockets, log links) is in these folders or in memory, never on the machine.
    """
    # kubelet sets these for the whole machine; bound over, it finds them set already.
    tunables = {
        "vm/overcommit_memory": "1",
        "vm/panic_on_oom": "0",
        "kernel/panic": "10",
        "kernel/panic_on_oops": "1",
        "kernel/keys/root_maxkeys": "1000000",
        "kernel/keys/root_maxbytes": "25000000",
    }
    pretend = "\n".join(
        f'echo {value} > "/run/sysctl/{name.replace("/", ".")}"\n'
        f'mount --bind "/run/sysctl/{name.replace("/", ".")}" /proc/sys/{name}'
        for name, value in tunables.items()
    )
    return f"""\
set -eu
lib=$1 log=$2 programs=$3
shift 3
# Last the one that hides what the others come from.
mount --bind "$log" /var/log
mount --bind "$programs" "$lib/{NODE_BIN.relative_to("/var/lib")}"
mount --rbind "$lib" /var/lib
mount -t tmpfs -o mode=755 kr8tiv-run /run
mkdir /run/lock /run/sysctl
{pretend}
mount --make-rshared /
exec "$@"
"""
