"""Runs an OCI archive as a hardened pod would: read-only root, no capabilities, no network but one of its own.

Needs root; does I/O.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterlib import packages

# Runs in its own mount and process namespace; $1 is the root file system, $2 the user, $3 the directories to make
# writable, $4 what to mount in it (SOURCE:TARGET), the rest is the command.
ENTER = """
set -eu
root=$1 user=$2 writable=$3 mounts=$4
shift 4
mount --bind "$root" "$root"
mount --types proc proc "$root/proc"
for device in null zero random urandom; do mount --bind "/dev/$device" "$root/dev/$device"; done
for mount in $mounts; do
  mount --bind "${mount%%:*}" "$root${mount#*:}"
  mount --options remount,bind,ro "$root${mount#*:}"
done
for directory in $writable; do mount --types tmpfs --options "mode=0700,uid=$user" tmpfs "$root$directory"; done
mount --options remount,bind,ro "$root"
exec python3 -c '
import ctypes, os, sys
root, user, home, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
os.chroot(root)
os.chdir(os.environ.pop("WORKDIR"))
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
PR_SET_NO_NEW_PRIVS = 38
if ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("prctl failed")
os.execvp(command[0], command)
' "$root" "$user" / "$@"
"""


class Network:
    """A network with nothing in it but its loopback interface, for several images to meet in."""

    def __init__(self) -> None:
        packages.ensure(tuple(package for package in packages.CONTROL_PLANE if package.name == "iproute2"))
        hold = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]
        self._holder = subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"up\n":
            raise RuntimeError("there is no network namespace to be had")
        self.pid = self._holder.pid

    def close(self) -> None:
        """End it; it lives on for what still runs in it."""
        self._holder.communicate()


@dataclass(frozen=True)
class Unpacked:
    """An image's file system and its configuration."""

    root: Path
    config: dict[str, object]

    def run(
        self,
        *command: str,
        writable: tuple[str, ...] = (),
        mounts: Mapping[Path, str] | None = None,
        network: Network | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` as the image's user.

        Only `writable` directories can be written; `mounts` are directories of this machine to be read in the image.
        """
        return subprocess.run(
            self._command(command, writable, mounts or {}, network),
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(
        self,
        *command: str,
        log: Path,
        writable: tuple[str, ...] = (),
        mounts: Mapping[Path, str] | None = None,
        network: Network | None = None,
        **env: str,
    ) -> subprocess.Popen[bytes]:
        """Start `command` in the same way, with its output in `log`; killing the process ends all that it started."""
        with log.open("wb") as stream:
            return subprocess.Popen(
                self._command(command, writable, mounts or {}, network),
                env=self._environment(env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def _command(
        self, command: tuple[str, ...], writable: tuple[str, ...], mounts: Mapping[Path, str], network: Network | None
    ) -> list[str | Path]:
        for target in mounts.values():
            # As a container runtime does.
            (self.root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        user = str(self.config["User"]).split(":", maxsplit=1)[0]
        enter = ["unshare", "--net"] if network is None else ["nsenter", f"--net=/proc/{network.pid}/ns/net", "unshare"]
        isolate = [*enter, "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        listed = " ".join(f"{source}:{target}" for source, target in mounts.items())
        return [*isolate, "sh", "-c", ENTER, "sh", self.root, user, " ".join(writable), listed, *command]

    def _environment(self, env: Mapping[str, str]) -> dict[str, str]:
        image_env = dict(entry.split("=", 1) for entry in self.config.get("Env", []))  # type: ignore[attr-defined]
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "WORKDIR": "/", **self._workdir(), **image_env, **env}

    def _workdir(self) -> dict[str, str]:
        directory = self.config.get("WorkingDir")
        return {"WORKDIR": str(directory)} if directory else {}


def unpack(archive: Path, target: Path) -> Unpacked:
    """Unpack the layers of the archive's only image into `target`."""
    blobs = target / "oci" / "blobs" / "sha256"
    with tarfile.open(archive) as tar:
        tar.extractall(target / "oci", filter="tar")
    index = json.loads((target / "oci" / "index.json").read_text())
    (descriptor,) = index["manifests"]
    manifest = json.loads((blobs / descriptor["digest"].partition(":")[2]).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].partition(":")[2]).read_text())
    root = target / "root"
    root.mkdir()
    for layer in manifest["layers"]:
        blob = blobs / layer["digest"].partition(":")[2]
        _apply(blob, root)
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)
    for name in ("null", "zero", "random", "urandom"):
        (root / "dev" / name).touch()
    return Unpacked(root, config["config"])


def _apply(layer: Path, root: Path) -> None:
    """Unpack one layer; a `.wh.NAME` in it hides NAME of the layers below."""
    listed = subprocess.run(["tar", "-tzf", layer], capture_output=True, text=True, check=True).stdout
    for path in (root / name for name in listed.splitlines() if Path(name).name.startswith(".wh.")):
        if path.name == ".wh..wh..opq":
            raise ValueError(f"{layer} hides a whole directory, {path.parent}: that is not supported here")
        subprocess.run(["rm", "-rf", path.with_name(path.name.removeprefix(".wh."))], check=True)
    # GNU tar as root keeps owners and modes.
    subprocess.run(["tar", "-xzf", layer, "-C", root, "--exclude=.wh.*", "--numeric-owner", "-p"], check=True)
