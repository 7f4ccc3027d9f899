"""dev/cluster on the real thing: nothing is left behind, and every crash is recovered from.

Takes a few minutes and root: run with KR8TIV_LIFECYCLE=1. Nothing else may bring
clusters up or down meanwhile, because what clusters share is compared, too.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import cluster_traces as traces

COMMAND = Path(__file__).resolve().parents[1] / "cluster"
ONE = f"lc{os.getpid() % 10000}"
OTHER = f"{ONE}-b"
RUN = Path(f"/run/kr8tiv-{ONE}")
DATA = Path(f"/var/lib/kr8tiv-{ONE}")

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe", "labels": {"app": "probe"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": "localhost/kr8tiv/helper:1",
                "args": ["-c", "echo written > /data/file && exec busybox httpd -f -p 8080 -h /data"],
                "readinessProbe": {"httpGet": {"port": 8080, "path": "/file"}, "periodSeconds": 1},
                "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "sub"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "probe"},
    "spec": {"selector": {"app": "probe"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def cluster(*arguments: str, code: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != code:
        raise AssertionError(
            f"dev/cluster {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def kubectl(name: str, *arguments: str, stdin: str | None = None) -> str:
    return cluster("exec", "--name", name, "--", "kubectl", *arguments, stdin=stdin).stdout


def status(name: str) -> dict:
    done = subprocess.run([COMMAND, "status", "--name", name, "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def kill(name: str, *components: str) -> None:
    pids = {part: status(name)["components"][part]["pid"] for part in components}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(not status(name)["components"][part]["alive"] for part in components), "the killed to be dead")


def wait_for(condition, what: str, seconds: float = 60, instead=lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what} {instead()}")
        time.sleep(0.05)


def remove_all() -> None:
    for name in (ONE, OTHER):
        subprocess.run([COMMAND, "down", "--name", name], capture_output=True, check=False)


def run_pod(name: str) -> None:
    """A pod that is only ready when volumes, ownership, networking and probes work."""
    documents = {"apiVersion": "v1", "kind": "List", "items": [CLAIM, SERVICE, POD]}
    wait_for(lambda: "default" in kubectl(name, "get", "serviceaccounts", "-o", "name"), "the service account")
    kubectl(name, "apply", "-f", "-", stdin=json.dumps(documents))
    kubectl(name, "wait", "--for=condition=Ready", "pod/probe", "--timeout=90s")


@unittest.skipUnless(os.environ.get("KR8TIV_LIFECYCLE") == "1", "set KR8TIV_LIFECYCLE=1 to run it")
class LifecycleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        os.environ |= {"KR8TIV_RUN": str(RUN), "KR8TIV_DATA": str(DATA)}
        # The clusters are known by this process's number, so nobody else would find them. Of what a test raises, only
        # KeyboardInterrupt ends the others, and after that unittest cleans nothing up.
        atexit.register(remove_all)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)

    def setUp(self) -> None:
        self.before = traces.machine()
        self.addCleanup(remove_all)

    def assert_nothing_left(self, namespaces: set[str] = frozenset()) -> None:
        for name in (ONE, OTHER):
            self.assert_gone(name)
        self.assertEqual(traces.still_open(namespaces), [])
        self.assertFalse(RUN.exists() or DATA.exists())
        self.assertEqual(traces.machine(), self.before)

    def assert_gone(self, name: str) -> None:
        # The machine's init takes a moment to reap what was killed.
        wait_for(lambda: not traces.of(name), f"{name} to be gone", 5, lambda: traces.of(name))

    def assert_healthy(self, name: str) -> None:
        self.assertEqual(status(name)["problems"], [])

    def test_control_plane(self) -> None:
        cluster("up", "--name", ONE, "--mode", "control-plane")
        self.assert_healthy(ONE)
        pids = status(ONE)["components"]
        again = cluster("up", "--name", ONE, "--mode", "control-plane")
        self.assertIn("already up", again.stderr)
        self.assertEqual(status(ONE)["components"].keys(), pids.keys())
        self.assertEqual([p["pid"] for p in status(ONE)["components"].values()], [p["pid"] for p in pids.values()])
        refused = cluster("up", "--name", ONE, "--mode", "kwok", code=1)
        self.assertIn(f"down --name {ONE}", refused.stderr)
        self.assertIn("has no node", cluster("load", "--name", ONE, __file__, code=1).stderr)

        # A claim is bound where nothing real runs.
        kubectl(ONE, "apply", "-f", "-", stdin=json.dumps(CLAIM))
        kubectl(ONE, "wait", "--for=jsonpath={.status.phase}=Bound", "pvc/data", "--timeout=30s")

        namespaces = traces.networks(ONE)
        self.assertEqual(len(namespaces), 1)
        cluster("down", "--name", ONE)
        self.assert_nothing_left(namespaces)
        self.assertIn("nothing to remove", cluster("down", "--name", ONE).stderr)
        self.assert_nothing_left()

    def test_exec_and_users(self) -> None:
        cluster("up", "--name", ONE, "--mode", "control-plane")
        cluster("exec", "--name", ONE, "--", "sh", "-c", "exit 7", code=7)
        cluster("exec", "--name", ONE, "--", "no-such-command", code=127)
        ignored = cluster("exec", "--name", ONE, "--", "grep", "SigIgn", "/proc/self/status").stdout.split()[1]
        self.assertEqual(int(ignored, 16) >> (signal.SIGPIPE - 1) & 1, 0, "SIGPIPE must not be ignored")
        script = """
            cat; echo "$KR8TIV_CLUSTER $KR8TIV_CLUSTER_MODE"; test -d "$KR8TIV_CLUSTER_DIR"
            command -v kubectl; command -v helm
        """
        out = cluster("exec", "--name", ONE, "--", "sh", "-ec", script, stdin="passed on\n").stdout
        self.assertIn(f"passed on\n{ONE} control-plane\n", out)
        self.assertIn("helm", out)

        who = json.loads(
            cluster(
                "exec",
                "--name",
                ONE,
                "--user",
                "jo/e",
                "--group",
                "team",
                "--",
                "kubectl",
                "auth",
                "whoami",
                "-o",
                "json",
            ).stdout
        )
        self.assertEqual(who["status"]["userInfo"]["username"], "jo/e")
        self.assertIn("team", who["status"]["userInfo"]["groups"])
        config = json.loads(cluster("kubeconfig", "--name", ONE, "--user", "counted").stdout)
        self.assertEqual(config["users"][0]["name"], "counted")

        # Refused by RBAC, and counted under its own name.
        cluster("exec", "--name", ONE, "--user", "counted", "--", "kubectl", "get", "nodes", code=1)
        log = Path(status(ONE)["paths"]["audit_log"])
        events = [json.loads(line) for line in log.read_text().splitlines()]
        mine = [e for e in events if e["user"]["username"] == "counted" and e["requestURI"].startswith("/api/v1/nodes")]
        self.assertEqual([e["responseStatus"]["code"] for e in mine], [403])
        self.assertNotIn("RequestReceived", {e["stage"] for e in events})

        # Down kills what still runs inside, but not the one that asks for it.
        inside = subprocess.Popen([COMMAND, "exec", "--name", ONE, "--", "sleep", "600"])
        self.addCleanup(inside.kill)
        wait_for(lambda: _command(inside.pid) == "sleep", "exec to become the command")
        cluster("exec", "--name", ONE, "--", str(COMMAND), "down", "--name", ONE)
        self.assertEqual(inside.wait(10), -signal.SIGKILL)
        self.assert_nothing_left()

    def test_node(self) -> None:
        cluster("up", "--name", ONE)
        run_pod(ONE)
        self.assertEqual(kubectl(ONE, "exec", "probe", "--", "cat", "/data/file"), "written\n")
        self.assertEqual(kubectl(ONE, "exec", "probe", "--", "id", "-u"), "1000\n")
        found = kubectl(ONE, "exec", "probe", "--", "nslookup", "probe.default.svc.cluster.local")
        address = kubectl(ONE, "get", "service", "probe", "-o", "jsonpath={.spec.clusterIP}")
        self.assertIn(f"Address: {address}\n", found)
        fetched = kubectl(ONE, "exec", "probe", "--", "wget", "-qO-", f"http://{address}/file")
        self.assertEqual(fetched, "written\n")

        namespaces = traces.networks(ONE)
        self.assertGreaterEqual(len(namespaces), 2, "that of the node and that of the pod")
        cluster("down", "--name", ONE)
        self.assert_nothing_left(namespaces)

    def test_two_side_by_side(self) -> None:
        both = [subprocess.Popen([COMMAND, "up", "--name", ONE], stderr=subprocess.PIPE, text=True)]
        both.append(
            subprocess.Popen(
                [COMMAND, "up", "--name", OTHER, "--mode", "control-plane"], stderr=subprocess.PIPE, text=True
            )
        )
        for process in both:
            _, errors = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0, errors)
        run_pod(ONE)
        kubectl(OTHER, "create", "namespace", "only-here")
        self.assertNotIn("only-here", kubectl(ONE, "get", "namespaces"))
        self.assertEqual(kubectl(OTHER, "get", "nodes", "-o", "name"), "")
        cluster("down", "--name", OTHER)
        self.assert_gone(OTHER)
        self.assert_healthy(ONE)
        self.assertEqual(kubectl(ONE, "exec", "probe", "--", "cat", "/data/file"), "written\n")
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def test_fake_nodes(self) -> None:
        cluster("up", "--name", ONE, "--mode", "kwok", "--nodes", "4")
        self.assertEqual(len(status(ONE)["nodes"]), 4)
        # Nothing but kwok could make it ready: there is no such image.
        kubectl(ONE, "create", "deployment", "web", "--image=none.invalid/none:1", "--replicas=8")
        kubectl(ONE, "rollout", "status", "deployment/web", "--timeout=60s")
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def test_up_after_api_server_was_killed(self) -> None:
        cluster("up", "--name", ONE, "--mode", "control-plane")
        kubectl(ONE, "create", "namespace", "before")
        kill(ONE, "kube-apiserver")
        self.assertEqual(status(ONE)["problems"], ["kube-apiserver is not running"])
        cluster("up", "--name", ONE, "--mode", "control-plane")
        self.assert_healthy(ONE)
        self.assertNotIn("before", kubectl(ONE, "get", "namespaces"))
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def test_up_after_kubelet_and_containerd_were_killed(self) -> None:
        cluster("up", "--name", ONE)
        run_pod(ONE)
        kill(ONE, "kubelet", "containerd")
        cluster("up", "--name", ONE)
        self.assert_healthy(ONE)
        self.assertEqual(len(traces.networks(ONE)), 1, "that of the old pod is gone")
        self.assertEqual(kubectl(ONE, "get", "pods", "-o", "name"), "")
        run_pod(ONE)
        namespaces = traces.networks(ONE)
        cluster("down", "--name", ONE)
        self.assert_nothing_left(namespaces)

    def test_up_after_up_was_killed(self) -> None:
        for component in ("etcd", "kube-apiserver", "kubelet"):
            with self.subTest(component):
                self.interrupt(component, signal.SIGKILL)
                self.assertEqual(status(ONE)["problems"], ["`up` did not finish"])
        cluster("exec", "--name", ONE, "--", "true", code=1)
        cluster("up", "--name", ONE)
        self.assert_healthy(ONE)
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def test_interrupted_up_keeps_only_its_logs(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.assertEqual(self.interrupt("kube-apiserver", number), 130)
                left = [p.name for p in (RUN / ONE).iterdir()]
                self.assertEqual(left, ["log"])
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def interrupt(self, component: str, number: int) -> int:
        """End `up` by this signal as soon as it has started the component."""
        process = subprocess.Popen([COMMAND, "up", "--name", ONE], stderr=subprocess.DEVNULL)
        state = RUN / ONE / "cluster.json"
        wait_for(lambda: state.exists() and component in state.read_text(), f"up to start {component}")
        process.send_signal(number)
        return process.wait(60)

    def test_leftovers_and_a_record_that_lies(self) -> None:
        for root in (RUN, DATA):
            (root / ONE).mkdir(parents=True)
        (DATA / ONE / "etcd").write_text("not a folder")
        (RUN / ONE / "netns").touch()
        # The recorded id belongs to a process that has nothing to do with it: this one.
        lie = {"etcd": {"pid": os.getpid(), "started": 1}}
        record = {"mode": "control-plane", "nodes": 0, "ready": True, "components": lie}
        (RUN / ONE / "cluster.json").write_text(json.dumps(record))
        hierarchy = next(p for p in Path("/sys/fs/cgroup").glob("**/cgroup.procs")).parent
        stray_group = hierarchy / f"kr8tiv-{ONE}" / "kubepods" / "pod1"
        stray_group.mkdir(parents=True)
        stray = subprocess.Popen(["sleep", "600"])
        self.addCleanup(stray.kill)
        (stray_group / "cgroup.procs").write_text(str(stray.pid))

        cluster("up", "--name", ONE, "--mode", "control-plane")
        self.assert_healthy(ONE)
        self.assertEqual(stray.wait(10), -signal.SIGKILL)
        cluster("down", "--name", ONE)
        self.assert_nothing_left()

    def test_missing_prerequisite_is_one_line(self) -> None:
        # In a user namespace without a mapping this process is nobody.
        argv = ["unshare", "--user", str(COMMAND), "up"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("needs root", done.stderr)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


if __name__ == "__main__":
    unittest.main()
