"""Logs into the sandbox's image with the gateway's, as hardened pods. Opt-in by KR8TIV_IMAGES=1: it builds images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

DEV = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(DEV), str(DEV / "tests")]

from clusterlib.wait import until  # noqa: E402
from oci_sandbox import Network, Unpacked, unpack  # noqa: E402

PATIENCE = 60.0
SERVER_KEYS, CLIENT_KEYS = "/etc/sandbox/ssh", "/etc/openclaw/ssh"
WRITABLE = ("/tmp", "/workspaces")

SETTINGS = """
port 2222
strictmodes no
usepam no
pidfile none
authenticationmethods publickey
passwordauthentication no
kbdinteractiveauthentication no
hostbasedauthentication no
gssapiauthentication no
pubkeyauthentication yes
permitemptypasswords no
allowusers sandbox
allowtcpforwarding no
allowstreamlocalforwarding no
allowagentforwarding no
x11forwarding no
gatewayports no
permittunnel no
permituserenvironment no
permituserrc no
usedns no
maxstartups 100:30:200
hostkey /etc/sandbox/ssh/ssh_host_ed25519_key
authorizedkeysfile /etc/sandbox/ssh/authorized_keys
"""


@unittest.skipUnless(os.environ.get("KR8TIV_IMAGES") == "1", "KR8TIV_IMAGES=1 is not set")
class SandboxImage(unittest.TestCase):
    """The server, and what a client of the gateway's image gets from it."""

    sandbox: Unpacked
    gateway: Unpacked
    watchdog: Unpacked

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        names = ["sandbox", "openclaw", "watchdog"]
        command = [str(DEV / "build-images"), *names, "--json"]
        built = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        for name in names:
            (cls.directory / name).mkdir()
        images = {name: unpack(Path(built[name]["archive"]), cls.directory / name) for name in names}
        cls.sandbox, cls.gateway, cls.watchdog = images["sandbox"], images["openclaw"], images["watchdog"]
        # Before sshd's keys are mounted over it.
        cls.files = {f"/{path.relative_to(cls.sandbox.root)}" for path in cls.sandbox.root.rglob("*")}

        cls.keys = {name: cls.key_pair() for name in ("host", "client", "stranger")}
        known = f"[127.0.0.1]:2222 {cls.keys['host'][1]}"
        cls.server_keys = cls.secret(
            "server-keys", ssh_host_ed25519_key=cls.keys["host"][0], authorized_keys=cls.keys["client"][1]
        )
        cls.client_keys = cls.secret("client-keys", id_ed25519=cls.keys["client"][0], known_hosts=known)

        cls.network = Network()
        cls.addClassCleanup(cls.network.close)
        log = cls.directory / "sshd.log"
        server = cls.sandbox.start(
            *cls.sandbox.config["Entrypoint"],  # type: ignore[misc]
            log=log,
            writable=WRITABLE,
            mounts={cls.server_keys: SERVER_KEYS},
            network=cls.network,
            CANARY_OF_THE_POD="1",
        )
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)
        until(
            lambda: "Server listening on 0.0.0.0 port 2222" in log.read_text(),
            "sshd",
            PATIENCE,
            died=lambda: server.poll() is not None,
            log=log,
        )

    @classmethod
    def key_pair(cls) -> tuple[str, str]:
        """A private and a public key in the format of OpenSSH."""
        make = "ssh-keygen -q -t ed25519 -N '' -C '' -f /tmp/key && cat /tmp/key.pub /tmp/key"
        done = cls.gateway.run("sh", "-c", make, writable=("/tmp",))
        public, _, private = done.stdout.partition("\n")
        assert done.returncode == 0, done.stderr
        return private, f"{public}\n"

    @classmethod
    def secret(cls, name: str, **files: str) -> Path:
        """A folder as kubelet makes one of a Secret, for the group of the pod."""
        folder = cls.directory / name
        folder.mkdir()
        for key, text in files.items():
            file = folder / key
            file.write_text(text)
            os.chown(file, 0, 1000)
            file.chmod(0o440)
        return folder

    def ssh(
        self, command: str, *more: str, keys: Path | None = None, user: str = "sandbox", before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs OpenSSH's client in the gateway's image, with the options of OpenClaw after `more`."""
        options = ["BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=yes", "UpdateHostKeys=no",
                   "GlobalKnownHostsFile=/dev/null", f"UserKnownHostsFile={CLIENT_KEYS}/known_hosts",
                   "IdentitiesOnly=yes"]  # fmt: skip
        usual = [part for option in options for part in ("-o", option)]
        target = ["-F", "/dev/null", "-i", f"{CLIENT_KEYS}/id_ed25519", "-p", "2222", "-l", user, "127.0.0.1"]
        # The first value of an option counts.
        client = ["ssh", *more, *usual, *target, *filter(None, [command])]
        shell = ["sh", "-c", f'{before} "$@"', "sh", *client] if before else client
        mounts = {keys or self.client_keys: CLIENT_KEYS}
        return self.gateway.run(*shell, writable=("/tmp",), mounts=mounts, network=self.network)

    def succeeds(self, command: str, *options: str) -> str:
        done = self.ssh(command, *options)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stderr, "")
        return done.stdout

    def refused(self, pattern: str, command: str, *options: str, **how: object) -> None:
        done = self.ssh(command, *options, **how)  # type: ignore[arg-type]
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stderr, pattern)
        self.assertNotIn("it ran", done.stdout)

    def test_a_command_runs_without_rights(self) -> None:
        self.assertEqual(self.succeeds("id -un; id -u; echo $HOME $SHELL"), "sandbox\n1000\n/home/sandbox /bin/bash\n")
        status = self.succeeds("cat /proc/self/status")
        for right in (r"CapPrm:\t0+\n", r"CapEff:\t0+\n", r"NoNewPrivs:\t1\n"):
            self.assertRegex(status, right)
        self.assertEqual(self.ssh("exit 7").returncode, 7)

    def test_neither_the_pods_environment_nor_the_clients_reaches_a_command(self) -> None:
        variables = self.succeeds("env", "-o", "SetEnv=LANG=canary CANARY_OF_THE_CLIENT=1")
        self.assertNotIn("canary", variables.lower())

    def test_what_openclaw_needs_is_there(self) -> None:
        self.succeeds("python3 -c 'import ctypes, json, ssl'")
        for program in ("sh", "tar", "find", "stat", "readlink", "git", "curl", "jq"):
            with self.subTest(program=program):
                self.succeeds(f"command -v {program}")
        self.succeeds("mkdir /workspaces/a && echo x > /workspaces/a/x && tar -C /workspaces/a -cf /tmp/a.tar . && rm -r /workspaces/a")
        # renameat2 without replacing, by which OpenClaw puts files in their place.
        rename = (
            "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
            "print(libc.renameat2(-100, b'/workspaces/one', -100, b'/workspaces/two', 1), ctypes.get_errno())"
        )
        self.assertEqual(self.succeeds(f'cd /workspaces && touch one two && python3 -c "{rename}"'), "-1 17\n")
        self.assertEqual(self.succeeds(f'cd /workspaces && rm two && python3 -c "{rename}" && rm two'), "0 0\n")

    def test_nothing_but_the_volumes_is_writable(self) -> None:
        for path in ("/x", "/etc/x", "/home/sandbox/x", f"{SERVER_KEYS}/x", "/usr/local/bin/x"):
            with self.subTest(path=path):
                self.refused("Read-only file system|Permission denied", f"touch {path} && echo it ran")

    def test_there_is_no_key_and_no_other_configuration_in_the_image(self) -> None:
        ours = {path for path in self.files if path.startswith(("/etc/ssh/sshd", "/etc/ssh/ssh_host", SERVER_KEYS))}
        self.assertEqual(ours, {"/etc/ssh/sshd_config", SERVER_KEYS})

    def test_settings_are_those_that_are_in_force(self) -> None:
        test = [*self.sandbox.config["Entrypoint"][:1], "-T", "-f", "/etc/ssh/sshd_config"]  # type: ignore[index]
        done = self.sandbox.run(*test, writable=WRITABLE, mounts={self.server_keys: SERVER_KEYS})
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.lower().splitlines()
        for line in SETTINGS.lower().split("\n")[1:-1]:
            self.assertIn(line, lines)
        self.assertEqual([line for line in lines if line.startswith(("acceptenv", "subsystem"))], [])

    def test_only_the_known_key_of_the_one_user_is_let_in(self) -> None:
        known = (self.client_keys / "known_hosts").read_text()
        stranger = self.secret("stranger", id_ed25519=self.keys["stranger"][0], known_hosts=known)
        denied = r"Permission denied \(publickey\)"
        self.refused(denied, "echo it ran", keys=stranger)
        self.refused(denied, "echo it ran", user="root")
        methods = "password,keyboard-interactive,hostbased,gssapi-with-mic"
        self.refused(denied, "echo it ran", "-o", "BatchMode=no", "-o", f"PreferredAuthentications={methods}")

    def test_another_host_key_is_refused_by_the_client(self) -> None:
        private = self.keys["client"][0]
        other = self.secret("other", id_ed25519=private, known_hosts=f"[127.0.0.1]:2222 {self.keys['stranger'][1]}")
        self.refused("Host key verification failed", "echo it ran", keys=other)
        empty = self.secret("empty", id_ed25519=private, known_hosts="")
        self.refused("Host key verification failed", "echo it ran", keys=empty)

    def test_nothing_is_forwarded(self) -> None:
        for what in ("9999:127.0.0.1:2222", "9999", "/tmp/there:/tmp/here"):
            fails = ("-o", "ExitOnForwardFailure=yes", "-R", what)
            self.refused("remote port forwarding failed", "echo it ran", *fails)
        self.refused("administratively prohibited", "", "-W", "127.0.0.1:2222")
        agent = "exec ssh-agent"
        done = self.ssh("echo agent:$SSH_AUTH_SOCK", "-A", before=agent)
        self.assertEqual(done.stdout, "agent:\n", done.stderr)

    def test_the_watchdog_sees_that_commands_run_and_why_not(self) -> None:
        wrong = f"[127.0.0.1]:2222 {self.keys['stranger'][1]}"
        mismatch = self.secret("mismatch", id_ed25519=self.keys["client"][0], known_hosts=wrong)
        known = (self.client_keys / "known_hosts").read_text()
        refused = self.secret("refused", id_ed25519=self.keys["stranger"][0], known_hosts=known)
        targets = {"good": self.client_keys, "mismatch": mismatch, "refused": refused}
        arguments = [f"--sandbox={name};127.0.0.1:2222;/ssh/{name}" for name in targets]
        log = self.directory / "watchdog.log"
        (program,) = self.watchdog.config["Entrypoint"]  # type: ignore[misc]
        process = self.watchdog.start(
            program, "run", *arguments,
            log=log, mounts={keys: f"/ssh/{name}" for name, keys in targets.items()}, network=self.network,
        )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def seen() -> dict[str, str]:
            curl = ["curl", "--silent", "http://127.0.0.1:18800/status"]
            answer = self.gateway.run(*curl, network=self.network).stdout
            return {entry["name"]: entry["reason"] for entry in json.loads(answer or '{"sandboxes": []}')["sandboxes"]}

        expected = {"good": "Ok", "mismatch": "HostKeyMismatch", "refused": "AuthFailed"}
        until(lambda: seen() == expected, f"{expected}", PATIENCE, died=lambda: process.poll() is not None, log=log)


if __name__ == "__main__":
    unittest.main()
