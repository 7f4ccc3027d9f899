"""Whether a cluster works, and what it consists of. I/O: processes, API server."""

from __future__ import annotations

from typing import Any

from clusterlib import cgroup, netns, process, state
from clusterlib.api import Api, is_ready
from clusterlib.errors import Failure
from clusterlib.settings import API_LOCAL_URL, NODE_IP, POD_CIDR, SERVICE_CIDR, Cluster, Mode
from clusterlib.state import State


def problems(cluster: Cluster, current: State) -> list[str]:
    """Why the cluster can't be used as it is; empty when it can."""
    if not current.ready:
        return ["`up` did not finish"]
    found = [f"{name} is not running" for name in current.dead()]
    if found:
        return found
    try:
        nodes = _nodes(cluster)
    except Failure as error:
        return [str(error)]
    return missing_nodes(cluster, current, nodes)


def missing_nodes(cluster: Cluster, current: State, nodes: list[dict[str, Any]]) -> list[str]:
    """Which of the nodes that `up` made are not ready; those others made are their business."""
    ready = {node["metadata"]["name"] for node in nodes if is_ready(node)}
    return [f"node {name} is not ready" for name in node_names(cluster, current) if name not in ready]


def node_names(cluster: Cluster, current: State) -> list[str]:
    match current.mode:
        case Mode.CONTROL_PLANE:
            return []
        case Mode.NODE:
            return [cluster.node_name]
        case Mode.KWOK:
            return [cluster.fake_node_name(index) for index in range(current.nodes)]


def report(cluster: Cluster) -> dict[str, Any]:
    """Everything `status` tells, as data."""
    current = state.load(cluster)
    if current is None:
        return {"name": cluster.name, "up": False, "problems": ["it is not up"]}
    found = problems(cluster, current)
    components = {
        name: {"pid": p.pid, "alive": p.alive(), "resident_bytes": process.resident_bytes(p.pid) if p.alive() else 0}
        for name, p in current.components.items()
    }
    return {
        "name": cluster.name,
        "up": current.ready,
        "problems": found,
        "mode": str(current.mode),
        "components": components,
        "resident_bytes": sum(part["resident_bytes"] for part in components.values()),
        "containers_resident_bytes": sum(process.resident_bytes(pid) for pid in cgroup.processes(cluster.cgroup)),
        "nodes": [] if found else [_summary(node) for node in _nodes(cluster)],
        "addresses": {
            "api_server": API_LOCAL_URL,
            "node": NODE_IP,
            "dns": NODE_IP,
            "pods": POD_CIDR,
            "services": SERVICE_CIDR,
        },
        "paths": {
            "run_dir": str(cluster.run_dir),
            "data_dir": str(cluster.data_dir),
            "kubeconfig": str(cluster.admin_kubeconfig),
            "audit_log": str(cluster.audit_log),
            "logs": str(cluster.log_dir),
            "network_namespace": str(cluster.netns),
        },
    }


def _nodes(cluster: Cluster) -> list[dict[str, Any]]:
    with netns.inside(cluster.netns):
        return Api(cluster.admin_kubeconfig).nodes()


def _summary(node: dict[str, Any]) -> dict[str, Any]:
    return {"name": node["metadata"]["name"], "ready": is_ready(node)}
