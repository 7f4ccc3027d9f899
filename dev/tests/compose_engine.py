"""Runs a Compose project with runc, as far as our files need it. Needs root; does I/O.

What it takes is the project that `dev/compose-check` prints, so each service runs with exactly what the Compose
project's own loader reads in the file: image, command, user, environment, mounts, rights, limits, network, health.
Not done: ports of this machine, and the copy of an image's folder into an empty volume.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterlib import packages
from clusterlib.wait import until
from oci_sandbox import Unpacked

DEFAULT_CAPABILITIES = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}  # fmt: skip
"""What Docker gives a container that drops nothing."""

HANDLED = {
    "cap_add", "cap_drop", "command", "depends_on", "deploy", "entrypoint", "environment", "healthcheck", "image",
    "network_mode", "networks", "ports", "pull_policy", "read_only", "restart", "security_opt", "stop_grace_period",
    "tmpfs", "user", "volumes", "working_dir",
}  # fmt: skip
"""Settings of a service that are carried out here, or that mean nothing without an engine of this machine."""

PATIENCE = 120.0
"""Seconds for what should take a moment, on a machine under load."""


@dataclass
class Running:
    """A started service."""

    process: subprocess.Popen[bytes]
    log: Path

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


class Engine:
    """One project: its volumes and containers. Everything is below `directory`."""

    def __init__(self, project: dict[str, Any], image: Callable[[str], Unpacked], directory: Path) -> None:
        packages.ensure(tuple(package for package in packages.NODE if package.name == "runc"))
        self.services: dict[str, dict[str, Any]] = project["services"]
        self.image = image
        self.directory = directory
        self.running: dict[str, Running] = {}
        for name in project.get("volumes", {}):
            # As an engine makes them: root's, and nobody else's to write.
            (directory / "volumes" / name).mkdir(parents=True, mode=0o755)

    def up(self) -> None:
        """Start every service when those that it depends on have come as far as it wants."""
        for name in self._order():
            for other, wanted in self.services[name].get("depends_on", {}).items():
                self._wait(other, wanted["condition"])
            self.start(name)

    def start(self, name: str) -> None:
        """Start one service."""
        service = self.services[name]
        if unknown := set(service) - HANDLED - {key for key, value in service.items() if value is None}:
            raise AssertionError(f"{name}: this engine can't do {', '.join(sorted(unknown))}")
        bundle = self.directory / "bundles" / name
        bundle.mkdir(parents=True, exist_ok=True)
        (bundle / "config.json").write_text(json.dumps(self._runtime_config(service)))
        log = self.directory / f"{name}.log"
        with log.open("ab") as stream:
            command = self._runc("run", "--bundle", str(bundle), self._id(name))
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        self.running[name] = Running(process, log)
        if self.services[name].get("restart") != "no":
            until(lambda: self.pid(name) is not None, f"start of {name}", PATIENCE, died=self._died(name), log=log)

    def pid(self, name: str) -> int | None:
        """The process of a service, when it runs."""
        done = subprocess.run(self._runc("state", self._id(name)), capture_output=True, text=True, check=False)
        state = json.loads(done.stdout) if done.returncode == 0 else {}
        return state["pid"] if state.get("status") == "running" else None

    def execute(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container, as the service's user."""
        return subprocess.run(
            self._runc("exec", self._id(name), *command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def healthy(self, name: str) -> bool:
        """Whether the service's own health check says so."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD", kind
        return self.execute(name, *command).returncode == 0

    def stop(self, name: str) -> int:
        """Stop a service as `docker compose stop` does, and return how it ended."""
        running = self.running.pop(name)
        if running.process.poll() is None:
            subprocess.run(self._runc("kill", self._id(name), "TERM"), capture_output=True, check=False)
        try:
            return running.process.wait(PATIENCE)
        finally:
            subprocess.run(self._runc("delete", "--force", self._id(name)), capture_output=True, check=False)

    def down(self) -> dict[str, int]:
        """Stop what runs, the last one started first, and return how each ended."""
        return {name: self.stop(name) for name in reversed(list(self.running))}

    def kill(self) -> None:
        """End everything, whatever state it is in."""
        for name, running in reversed(list(self.running.items())):
            subprocess.run(self._runc("delete", "--force", self._id(name)), capture_output=True, check=False)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
        self.running.clear()

    def _wait(self, name: str, condition: str) -> None:
        running = self.running[name]
        if condition == "service_completed_successfully":
            code = running.process.wait(PATIENCE)
            assert code == 0, f"{name} ended with {code}: {running.log_text()}"
        elif condition == "service_healthy":
            seconds = _seconds(self.services[name]["healthcheck"]["start_period"])
            until(lambda: self.healthy(name), f"health of {name}", seconds, died=self._died(name), log=running.log)

    def wait_healthy(self, name: str) -> None:
        """Wait for a service's health."""
        self._wait(name, "service_healthy")

    def _died(self, name: str) -> Callable[[], bool]:
        process = self.running[name].process
        return lambda: process.poll() is not None

    def _order(self) -> Iterator[str]:
        left = dict(self.services)
        while left:
            ready = [name for name, service in left.items() if not set(service.get("depends_on", {})) & set(left)]
            assert ready, f"a circle of dependencies: {', '.join(left)}"
            for name in ready:
                del left[name]
                yield name

    def _runc(self, *arguments: str) -> list[str]:
        return ["runc", "--root", str(self.directory / "runc"), *arguments]

    def _id(self, name: str) -> str:
        # Names the container's cgroup too, which all of this machine share.
        return f"kr8tiv-compose-{os.getpid()}-{name}"

    def _runtime_config(self, service: dict[str, Any]) -> dict[str, Any]:
        image = self.image(service["image"])
        config = self._template()
        config["root"] = {"path": str(image.root), "readonly": service.get("read_only", False)}
        config["mounts"] += list(self._mounts(service))
        user, group = (int(part) for part in service["user"].split(":"))
        environment = [f"{name}={value}" for name, value in service.get("environment", {}).items() if value is not None]
        config["process"] |= {
            "terminal": False,
            "user": {"uid": user, "gid": group},
            "args": _command(service, image.config),
            "env": [*image.config.get("Env", []), *environment],  # type: ignore[misc]
            "cwd": service.get("working_dir") or image.config.get("WorkingDir") or "/",
            "noNewPrivileges": "no-new-privileges:true" in service.get("security_opt", []),
            "capabilities": _capabilities(service, user),
        }
        for namespace in config["linux"]["namespaces"]:
            if namespace["type"] == "network" and (other := _shares_network_of(service)):
                namespace["path"] = f"/proc/{self.pid(other)}/ns/net"
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        if "memory" in limits:
            config["linux"]["resources"]["memory"] = {"limit": int(limits["memory"])}
        return config

    def _template(self) -> dict[str, Any]:
        """What every container has: /proc, /dev and the like, namespaces of its own."""
        scratch = self.directory / "template"
        if not (scratch / "config.json").exists():
            scratch.mkdir()
            subprocess.run(["runc", "spec", "--bundle", str(scratch)], check=True)
        template: dict[str, Any] = json.loads((scratch / "config.json").read_text())
        return template

    def _mounts(self, service: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for mount in service.get("volumes", []):
            source = Path(mount["source"])
            if mount["type"] == "volume":
                source = self.directory / "volumes" / mount["source"]
            elif mount["type"] != "bind" or mount.get("bind", {}).get("create_host_path", True):
                raise AssertionError(f"this engine can't do {mount}")
            assert source.exists(), f"there is no {source} to mount"
            # Docker's options: with "nodev", nothing could be written to a mounted device such as /dev/null.
            options = ["rbind", "rprivate", "ro" if mount.get("read_only") else "rw"]
            yield {"destination": mount["target"], "type": "bind", "source": str(source), "options": options}
        for mount in service.get("tmpfs") or []:
            target, _, options = mount.partition(":")
            # Later options win, as with Docker.
            yield {
                "destination": target,
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["noexec", "nosuid", "nodev", *options.split(",")],
            }


def _command(service: dict[str, Any], image: dict[str, Any]) -> list[str]:
    """An entry point of the service's own leaves nothing of the image's command."""
    if service.get("entrypoint") is not None:
        return [*service["entrypoint"], *(service.get("command") or [])]
    command = service.get("command")
    return [*(image.get("Entrypoint") or []), *(image.get("Cmd") or [] if command is None else command)]


def _capabilities(service: dict[str, Any], user: int) -> dict[str, list[str]]:
    dropped, added = service.get("cap_drop") or [], service.get("cap_add") or []
    kept = set() if "ALL" in dropped else DEFAULT_CAPABILITIES - {f"CAP_{name}" for name in dropped}
    bounding = sorted(kept | {f"CAP_{name}" for name in added})
    # Whoever isn't root has what a program could give, and nothing in hand.
    effective = bounding if user == 0 else []
    return {"bounding": bounding, "permitted": effective, "effective": effective}


def _shares_network_of(service: dict[str, Any]) -> str | None:
    mode = service.get("network_mode") or ""
    return mode.partition(":")[2] if mode.startswith("service:") else None


def _seconds(duration: str) -> float:
    """A duration as the loader prints it, such as 10m0s."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    total, number = 0.0, ""
    for character in duration:
        if character in units:
            total, number = total + float(number) * units[character], ""
        else:
            number += character
    return total
