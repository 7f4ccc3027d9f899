"""Brings a cluster up: prepares, cleans, starts. I/O: everything the other modules do."""

from __future__ import annotations

import time
from pathlib import Path

from clusterlib import (
    addons,
    controlplane,
    health,
    netns,
    node,
    ociarchive,
    packages,
    pki,
    state,
    teardown,
    toolchain,
    wait,
)
from clusterlib.cache import progress, say
from clusterlib.errors import Failure, Missing
from clusterlib.launcher import Launcher
from clusterlib.settings import Cluster, Mode
from clusterlib.state import State

GIB = 1 << 30
MEMORY = {Mode.CONTROL_PLANE: 1 * GIB, Mode.KWOK: 2 * GIB, Mode.NODE: 2 * GIB}

DEFAULT_FAKE_NODES = 3
SETTLE_SECONDS = 20

Programs = dict[str, Path]


def up(cluster: Cluster, mode: Mode, fake_nodes: int | None) -> None:
    """Make the cluster run in this mode; a healthy one of this mode is left alone."""
    nodes = {Mode.CONTROL_PLANE: 0, Mode.NODE: 1}.get(mode, fake_nodes or DEFAULT_FAKE_NODES)
    with state.exclusive(cluster):
        if _already_up(cluster, mode, fake_nodes):
            return
        programs = prepare(mode)
        _clean(cluster)
        if (free := toolchain.available_memory()) < MEMORY[mode]:
            raise Missing(
                f"mode {mode} needs {MEMORY[mode] // GIB} GiB of free memory, {free / GIB:.1f} are: free some"
            )
        with progress(f"bringing up {cluster.name} ({mode})"):
            _bring_up(cluster, State(mode, nodes), programs)


def prepare(mode: Mode) -> Programs:
    """Everything that may need the network or minutes; nothing of the cluster itself."""
    packages.ensure(packages.CONTROL_PLANE)
    if mode is Mode.NODE:
        node.check_kernel()
        packages.ensure(packages.NODE)
        ociarchive.archive()
    return toolchain.tools(mode)


def _already_up(cluster: Cluster, mode: Mode, fake_nodes: int | None) -> bool:
    current = state.load(cluster)
    if current is None or not _settles(cluster, current):
        return False
    if current.mode is not mode or fake_nodes not in (None, current.nodes):
        raise Failure(
            f"{cluster.name} is already up, in mode {current.mode} with {current.nodes} nodes: "
            f"`down --name {cluster.name}` first, or choose another --name"
        )
    say(f"{cluster.name} is already up in mode {mode} and healthy")
    return True


def _settles(cluster: Cluster, current: State) -> bool:
    """Whether it is healthy, or gets so soon: a busy machine alone is no reason to throw it away."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while found := health.problems(cluster, current):
        if not current.ready or current.dead() or time.monotonic() > deadline:
            say(f"{cluster.name} is not healthy: {'; '.join(found[:3])}")
            return False
        time.sleep(wait.POLL_SECONDS)
    return True


def _clean(cluster: Cluster) -> None:
    if teardown.exists(cluster):
        with progress(f"removing what an earlier run of {cluster.name} left"):
            teardown.remove(cluster)


def _bring_up(cluster: Cluster, record: State, programs: Programs) -> None:
    try:
        for directory in (cluster.run_dir, cluster.data_dir):
            directory.mkdir(mode=0o700, parents=True)
        cluster.log_dir.mkdir()
        record.save(cluster)
        pki.create_authorities(cluster)
        _offer(cluster, programs)
        netns.create(cluster.netns)
        with netns.inside(cluster.netns):
            netns.configure()
            _start(Launcher(cluster, record), programs)
        record.ready = True
        if found := health.problems(cluster, record):
            name = next(iter(record.dead()), None)
            raise Failure(f"{cluster.name}: {'; '.join(found)}{wait.tail(cluster.log(name) if name else None)}")
        record.save(cluster)
    except BaseException:
        # Whatever the reason, an interrupt included: half a cluster is of no use.
        # Its logs are, and go with the next `up` or `down`.
        teardown.remove(cluster, keep_logs=True)
        raise


def _start(launcher: Launcher, programs: Programs) -> None:
    mode = launcher.state.mode
    kubernetes = programs["kubectl"].parent
    controlplane.start_etcd(launcher, kubernetes)
    api = controlplane.start_api_server(launcher, kubernetes)
    controlplane.start_controller_manager(launcher, kubernetes, pretend_volumes=mode is not Mode.NODE)
    if mode is Mode.CONTROL_PLANE:
        addons.apply_pretended_storage(api)
        return
    controlplane.start_scheduler(launcher, kubernetes)
    if mode is Mode.KWOK:
        addons.apply_pretended_storage(api)
        addons.start_kwok(launcher, api, programs["kwok"], launcher.state.nodes)
        return
    containerd = node.start_containerd(launcher, kubernetes)
    node.import_archive(containerd, ociarchive.archive())
    node.start_kubelet(launcher, containerd)
    node.start_proxy(launcher, containerd)
    addons.start_dns(launcher, api, programs["coredns"])
    addons.start_volumes(launcher, api, programs["local-path-provisioner"])
    node.await_ready(launcher, api)


def _offer(cluster: Cluster, programs: Programs) -> None:
    """Put what people call onto the PATH of `exec`."""
    cluster.bin_dir.mkdir()
    for name in ("kubectl", "helm"):
        (cluster.bin_dir / name).symlink_to(programs[name])
