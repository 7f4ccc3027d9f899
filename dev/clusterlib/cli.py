"""The command line of dev/cluster. I/O: arguments, terminal."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from clusterlib import health, netns, node, pki, state, teardown, up
from clusterlib.cache import progress, say
from clusterlib.errors import Failure, Missing
from clusterlib.settings import DEFAULT_NAME, Cluster, Mode


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGTERM, _interrupted)
    arguments = _parse(argv)
    try:
        if os.geteuid() != 0:
            raise Missing("dev/cluster needs root (namespaces, mounts, cgroups): run it as root or with sudo -E")
        return arguments.run(arguments) or 0
    except Missing as error:
        say(f"dev/cluster: {error}")
        return 2
    except Failure as error:
        say(f"dev/cluster: {error}")
        return 1
    except KeyboardInterrupt:
        say("dev/cluster: interrupted")
        return 130


def _up(arguments: argparse.Namespace) -> None:
    mode = Mode(arguments.mode)
    if arguments.nodes is not None and mode is not Mode.KWOK:
        raise Failure("--nodes is for --mode kwok: the other modes have one real node or none")
    if arguments.nodes is not None and arguments.nodes < 1:
        raise Failure(f"--nodes {arguments.nodes}: at least 1 is needed")
    up.up(Cluster.named(arguments.name), mode, arguments.nodes)


def _down(arguments: argparse.Namespace) -> None:
    cluster = Cluster.named(arguments.name)
    with state.exclusive(cluster):
        if not teardown.exists(cluster):
            say(f"{cluster.name} is not up: nothing to remove")
            return
        with progress(f"removing {cluster.name}"):
            teardown.remove(cluster)


def _exec(arguments: argparse.Namespace) -> int:
    cluster = Cluster.named(arguments.name)
    current = _running(cluster)
    kubeconfig = cluster.admin_kubeconfig
    if arguments.user != "admin":
        kubeconfig = pki.kubeconfig(cluster, arguments.user, arguments.group)
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "KR8TIV_CLUSTER": cluster.name,
        "KR8TIV_CLUSTER_DIR": str(cluster.run_dir),
        "KR8TIV_CLUSTER_MODE": str(current.mode),
        "KR8TIV_AUDIT_LOG": str(cluster.audit_log),
        "PATH": f"{cluster.bin_dir}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    program = arguments.command[0]
    if shutil.which(program, path=environment["PATH"]) is None:
        say(f"dev/cluster: {program}: no such command")
        return 127
    netns.enter(cluster.netns)
    # Python ignores it, and the command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execvpe(program, arguments.command, environment)


def _load(arguments: argparse.Namespace) -> None:
    cluster = Cluster.named(arguments.name)
    current = _running(cluster)
    if current.mode is not Mode.NODE:
        raise Failure(f"{cluster.name} runs in mode {current.mode} and has no node to load images into")
    if absent := [str(path) for path in arguments.archives if not path.is_file()]:
        raise Failure(f"no such archive: {', '.join(absent)}")
    for path in arguments.archives:
        with progress(f"loading {path.name}"):
            references = node.import_archive(current.components[node.CONTAINERD], path)
        print("\n".join(references), flush=True)


def _status(arguments: argparse.Namespace) -> int:
    names = [arguments.name] if arguments.name else state.known_names()
    reports = [health.report(Cluster.named(name)) for name in names]
    if arguments.json:
        print(json.dumps(reports[0] if arguments.name else reports, indent=2))
    elif not reports:
        print("no cluster")
    else:
        print("\n\n".join(_readable(report) for report in reports))
    return 1 if any(report["problems"] for report in reports) else 0


def _readable(report: dict[str, Any]) -> str:
    state_text = "; ".join(report["problems"]) or "healthy"
    if "components" not in report:
        return f"{report['name']}: {state_text}"
    lines = [f"{report['name']} ({report['mode']}): {state_text}"]
    for name, part in report["components"].items():
        alive = "running" if part["alive"] else "dead"
        lines.append(f"  {name:<26}{part['pid']:>8}  {alive:<8}{part['resident_bytes'] >> 20:>6} MiB")
    containers = report["containers_resident_bytes"] >> 20
    lines.append(f"  {'all, and in containers':<44}{report['resident_bytes'] >> 20:>6} MiB, {containers} MiB")
    lines += [f"  node {n['name']}: {'ready' if n['ready'] else 'not ready'}" for n in report["nodes"][:10]]
    if len(report["nodes"]) > 10:
        lines.append(f"  … and {len(report['nodes']) - 10} more nodes")
    for group in ("addresses", "paths"):
        lines += [f"  {key.replace('_', ' '):<20}{value}" for key, value in report[group].items()]
    return "\n".join(lines)


def _kubeconfig(arguments: argparse.Namespace) -> None:
    cluster = Cluster.named(arguments.name)
    _running(cluster)
    if arguments.user == "admin":
        path = cluster.admin_kubeconfig
    else:
        path = pki.kubeconfig(cluster, arguments.user, arguments.group)
    if arguments.output is None:
        sys.stdout.write(path.read_text())
        return
    descriptor = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(path.read_text())


def _tools(_arguments: argparse.Namespace) -> None:
    programs: dict[str, Path] = {}
    for mode in Mode:
        programs |= up.prepare(mode)
    for name, path in sorted(programs.items()):
        print(f"{name:<26}{path}")


def _running(cluster: Cluster) -> state.State:
    current = state.load(cluster)
    if current is None or not current.ready:
        raise Failure(f"{cluster.name} is not up: run `dev/cluster up --name {cluster.name}`")
    return current


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev/cluster", description="A real Kubernetes cluster on this machine, built from packages."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str, default: str | None = DEFAULT_NAME) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        sub.add_argument("--name", default=default, help=f"which cluster (default: {default or 'all'})")
        return sub

    def identity(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--user", default="admin", help="the user name to authenticate as (default: admin)")
        sub.add_argument("--group", action="append", default=[], help="a group of that user; repeatable")

    sub = command("up", _up, "bring a cluster up")
    sub.add_argument(
        "--mode", choices=[str(m) for m in Mode], default=str(Mode.NODE), help="how much of a cluster (default: node)"
    )
    sub.add_argument("--nodes", type=int, help=f"fake nodes in mode kwok (default: {up.DEFAULT_FAKE_NODES})")
    command("down", _down, "remove a cluster and every trace of it")
    sub = command("exec", _exec, "run a command inside the cluster's network: exec [--name N] -- CMD...")
    identity(sub)
    sub.add_argument("command", nargs="+", metavar="-- CMD")
    sub = command("load", _load, "load OCI archives into the node; prints the images' references")
    sub.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    sub = command("status", _status, "say what runs; exit code 1 when something doesn't", default=None)
    sub.add_argument("--json", action="store_true")
    sub = command("kubeconfig", _kubeconfig, "print a kubeconfig with a client certificate of a user")
    identity(sub)
    sub.add_argument("--output", type=Path, metavar="FILE", help="write it to this file instead")
    command("tools", _tools, "build and install everything a cluster needs, and start nothing")
    return parser.parse_args(argv)
