"""Certificates and kubeconfigs. I/O: openssl, files in the run folder."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from clusterlib.errors import Failure
from clusterlib.settings import API_LOCAL_URL, API_SERVICE_IP, CLUSTER_DOMAIN, NODE_IP, Cluster

ADMIN_USER = "kubernetes-admin"
ADMIN_GROUP = "system:masters"
DAYS = "365"

_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: Path
    key: Path


def pair(cluster: Cluster, name: str) -> Pair:
    return Pair(cluster.pki_dir / f"{name}.crt", cluster.pki_dir / f"{name}.key")


def create_authorities(cluster: Cluster) -> None:
    """The cluster's certificate authorities, the server certificates and the token key."""
    cluster.pki_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("ca", "front-proxy-ca"):
        into = pair(cluster, name)
        extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        ]
        _request(into, f"/CN=kr8tiv-{cluster.name}-{name}", extensions)
    _openssl(
        ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(service_account_key(cluster))]
    )
    names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
    ]
    _server(cluster, "apiserver", "kube-apiserver", names, ["127.0.0.1", NODE_IP, API_SERVICE_IP])
    _server(cluster, "kubelet", f"system:node:{cluster.node_name}", [cluster.node_name], [NODE_IP])
    _client(
        cluster,
        pair(cluster, "apiserver-kubelet-client"),
        "kube-apiserver-kubelet-client",
        ["kubeadm:cluster-admins", ADMIN_GROUP],
    )
    _client(cluster, pair(cluster, "front-proxy-client"), "front-proxy-client", [], authority="front-proxy-ca")
    kubeconfig(cluster, ADMIN_USER, [ADMIN_GROUP], into=cluster.admin_kubeconfig)


def service_account_key(cluster: Cluster) -> Path:
    return cluster.pki_dir / "service-accounts.key"


def kubeconfig(cluster: Cluster, user: str, groups: list[str], into: Path | None = None) -> Path:
    """A kubeconfig with a client certificate of this user; made once, then found again."""
    path = into or cluster.kubeconfig_dir / f"{_file_name(user, groups)}.yaml"
    if path.exists():
        return path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    client = pair(cluster, f"user-{_file_name(user, groups)}")
    _client(cluster, client, user, groups)
    content = json.dumps(_kubeconfig(cluster, user, client), indent=2) + "\n"
    scratch = path.with_suffix(".new")
    scratch.touch(mode=0o600)
    scratch.write_text(content)
    scratch.rename(path)
    return path


def subject(user: str, groups: list[str]) -> str:
    """The certificate subject that Kubernetes reads as this user in these groups."""
    if not user or not all(groups):
        raise Failure("a user name and the groups must not be empty")
    parts = [*(("O", group) for group in groups), ("CN", user)]
    return "".join(f"/{key}={_escape(value)}" for key, value in parts)


def _escape(value: str) -> str:
    return "".join(f"\\{char}" if char in "/\\+" else char for char in value)


def _file_name(user: str, groups: list[str]) -> str:
    return "+".join(urllib.parse.quote(text, safe="") for text in [user, *groups])


def _kubeconfig(cluster: Cluster, user: str, client: Pair) -> dict[str, object]:
    # JSON is YAML, and the files are self-contained so that they can be copied anywhere.
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster.name,
                "cluster": {
                    "server": API_LOCAL_URL,
                    "certificate-authority-data": _encoded(pair(cluster, "ca").certificate),
                },
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encoded(client.certificate),
                    "client-key-data": _encoded(client.key),
                },
            }
        ],
        "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": user}}],
        "current-context": cluster.name,
    }


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _client(cluster: Cluster, into: Pair, user: str, groups: list[str], authority: str = "ca") -> None:
    extensions = [
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth",
        "basicConstraints=critical,CA:FALSE",
    ]
    _request(into, subject(user, groups), extensions, pair(cluster, authority))


def _server(cluster: Cluster, name: str, common_name: str, dns: list[str], ips: list[str]) -> None:
    alternatives = ",".join([*(f"DNS:{d}" for d in dns), *(f"IP:{i}" for i in ips)])
    extensions = [
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth",
        "basicConstraints=critical,CA:FALSE",
        f"subjectAltName={alternatives}",
    ]
    _request(pair(cluster, name), subject(common_name, []), extensions, pair(cluster, "ca"))


def _request(into: Pair, subject_name: str, extensions: list[str], authority: Pair | None = None) -> None:
    signer = ["-CA", str(authority.certificate), "-CAkey", str(authority.key)] if authority else []
    added = [part for extension in extensions for part in ("-addext", extension)]
    # An empty configuration: the system's would add extensions of its own.
    _openssl(
        ["req", "-x509", "-config", "/dev/null", *_NEW_KEY, "-days", DAYS, "-utf8", "-subj", subject_name]
        + ["-keyout", str(into.key), "-out", str(into.certificate), *signer, *added]
    )


def _openssl(arguments: list[str]) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, umask=0o077)
    if done.returncode != 0:
        raise Failure(f"openssl {arguments[0]}: {done.stderr.strip()}")
