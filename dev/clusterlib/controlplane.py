"""etcd, API server, controller manager and scheduler. I/O: starts them."""

from __future__ import annotations

import json
from pathlib import Path

from clusterlib import pki
from clusterlib.api import Api, endpoint_ok
from clusterlib.launcher import Launcher
from clusterlib.pki import pair
from clusterlib.settings import API_PORT, NODE_IP, POD_CIDR, SERVICE_CIDR, Cluster

ETCD_URL = "http://127.0.0.1:2379"
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259

# Of a namespace of this name, what is written into it by programs is kept with its body: a test looks for secrets there.
# Bodies of all would fill the log of a large cluster.
WATCHED_NAMESPACE = "canaries"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}]},
        {"level": "Request", "userGroups": ["system:serviceaccounts"], "namespaces": [WATCHED_NAMESPACE]},
        {"level": "Metadata"},
    ],
}


def start_etcd(launcher: Launcher, tools: Path) -> None:
    data = launcher.cluster.data_dir / "etcd"
    argv = [
        str(tools / "etcd"),
        f"--data-dir={data}",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        "--listen-peer-urls=http://127.0.0.1:0",
        # The data is thrown away with the cluster: nothing is gained by syncing it.
        "--unsafe-no-fsync",
        # 10,000 tenants don't fit into the default of 2 GiB once histories pile up.
        f"--quota-backend-bytes={8 << 30}",
        "--log-level=warn",
    ]
    launcher.start("etcd", argv)
    launcher.await_ready("etcd", lambda: endpoint_ok(2379, "/health"), 30)


def start_api_server(launcher: Launcher, tools: Path) -> Api:
    cluster = launcher.cluster
    policy = cluster.run_dir / "audit-policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    launcher.start("kube-apiserver", [str(tools / "kube-apiserver"), *api_server_flags(cluster, policy)])
    api = Api(cluster.admin_kubeconfig)
    launcher.await_ready("kube-apiserver", api.ready, 90)
    return api


def api_server_flags(cluster: Cluster, audit_policy: Path) -> list[str]:
    serving, kubelet_client = pair(cluster, "apiserver"), pair(cluster, "apiserver-kubelet-client")
    proxy_client, authority = pair(cluster, "front-proxy-client"), pair(cluster, "ca")
    accounts = pki.service_account_key(cluster)
    return [
        f"--etcd-servers={ETCD_URL}",
        f"--secure-port={API_PORT}",
        f"--advertise-address={NODE_IP}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={kubelet_client.certificate}",
        f"--kubelet-client-key={kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pair(cluster, 'front-proxy-ca').certificate}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={proxy_client.certificate}",
        f"--proxy-client-key-file={proxy_client.key}",
        "--enable-aggregator-routing=true",
        f"--audit-policy-file={audit_policy}",
        f"--audit-log-path={cluster.audit_log}",
    ]


def start_controller_manager(launcher: Launcher, tools: Path, *, pretend_volumes: bool) -> None:
    """Start it; with `pretend_volumes` it also binds claims, to volumes nobody will mount."""
    cluster = launcher.cluster
    kubeconfig = pki.kubeconfig(cluster, "system:kube-controller-manager", [])
    authority = pair(cluster, "ca")
    argv = [
        str(tools / "kube-controller-manager"),
        *_authenticated(kubeconfig),
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.service_account_key(cluster)}",
        f"--root-ca-file={authority.certificate}",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.key}",
        f"--cluster-cidr={POD_CIDR}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--bind-address=127.0.0.1",
    ]
    if pretend_volumes:
        # That provisioner makes a folder below /tmp for every volume: let its writes go to a
        # layer that vanishes with the process. What is in /tmp stays visible: the cache may be there.
        layer = cluster.run_dir / "layer"
        layer.mkdir(exist_ok=True)
        script = (
            'layer=$0; mount -t tmpfs tmpfs "$layer" && mkdir "$layer/upper" "$layer/work" && '
            'mount -t overlay overlay -o "lowerdir=/tmp,upperdir=$layer/upper,workdir=$layer/work" /tmp && exec "$@"'
        )
        argv = ["unshare", "--mount", "sh", "-c", script, str(layer), *argv, "--enable-hostpath-provisioner=true"]
    name = "kube-controller-manager"
    launcher.start(name, argv)
    launcher.await_ready(name, lambda: endpoint_ok(CONTROLLER_MANAGER_PORT, "/healthz", tls=True), 60)


def start_scheduler(launcher: Launcher, tools: Path) -> None:
    kubeconfig = pki.kubeconfig(launcher.cluster, "system:kube-scheduler", [])
    argv = [
        str(tools / "kube-scheduler"),
        *_authenticated(kubeconfig),
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--bind-address=127.0.0.1",
    ]
    launcher.start("kube-scheduler", argv)
    launcher.await_ready("kube-scheduler", lambda: endpoint_ok(SCHEDULER_PORT, "/readyz", tls=True), 60)


def _authenticated(kubeconfig: Path) -> list[str]:
    flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{flag}={kubeconfig}" for flag in flags]
