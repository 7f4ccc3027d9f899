"""The parts of dev/cluster that need no cluster."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clusterlib import (
    cache,
    cgroup,
    cli,
    health,
    manifests,
    nodeconfig,
    ociarchive,
    packages,
    pki,
    process,
    settings,
    state,
    toolchain,
    wait,
)
from clusterlib.errors import Failure, Missing
from clusterlib.settings import Cluster, Mode


class CacheTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for patch in (
            mock.patch.dict(os.environ, {"KR8TIV_CACHE": folder.name}),
            mock.patch.object(cache, "say"),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.builds = 0

    def build(self, out: Path) -> None:
        self.builds += 1
        (out / "result").write_text(str(self.builds))

    def test_same_inputs_are_built_once(self) -> None:
        first = cache.keyed("thing", [b"a"], self.build)
        second = cache.keyed("thing", [b"a"], self.build)
        self.assertEqual((first, self.builds), (second, 1))
        self.assertEqual((first / "result").read_text(), "1")

    def test_changed_input_is_built_anew(self) -> None:
        source = self.root / "source"
        source.write_text("one")
        first = cache.keyed("thing", [source], self.build)
        source.write_text("two")
        self.assertNotEqual(first, cache.keyed("thing", [source], self.build))

    def test_executable_bit_and_file_names_are_part_of_the_key(self) -> None:
        tree = self.root / "tree"
        tree.mkdir()
        (tree / "a").write_text("x")
        keys = [cache.content_hash([tree])]
        (tree / "a").chmod(0o755)
        keys.append(cache.content_hash([tree]))
        (tree / "a").rename(tree / "b")
        keys.append(cache.content_hash([tree]))
        self.assertEqual(len(set(keys)), 3)

    def test_inputs_do_not_run_together(self) -> None:
        self.assertNotEqual(cache.content_hash([b"ab", b"c"]), cache.content_hash([b"a", b"bc"]))

    def test_failed_build_publishes_nothing(self) -> None:
        def fail(out: Path) -> None:
            (out / "half").write_text("")
            raise RuntimeError("no")

        with self.assertRaises(RuntimeError):
            cache.keyed("thing", [b"a"], fail)
        self.assertEqual([p.name for p in self.root.iterdir()], [".thing.lock"])
        self.assertTrue(cache.keyed("thing", [b"a"], self.build).is_dir())

    def test_what_a_killed_build_left_is_removed(self) -> None:
        (self.root / ".thing.build-dead").mkdir()
        cache.keyed("thing", [b"a"], self.build)
        self.assertFalse((self.root / ".thing.build-dead").exists())

    def test_two_at_once_build_once(self) -> None:
        started = threading.Barrier(2)

        def run() -> None:
            started.wait()
            cache.keyed("thing", [b"a"], self.build)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.builds, 1)

    def test_name_must_be_plain(self) -> None:
        for name in ("", "a/b", ".hidden"):
            with self.subTest(name), self.assertRaises(ValueError):
                cache.keyed(name, [], self.build)


class SettingsTest(unittest.TestCase):
    def test_names(self) -> None:
        for name in ("a", "kr8tiv", "a-b-1", "x" * 20):
            self.assertEqual(Cluster.named(name).name, name)
        for name in ("", "-a", "a-", "A", "a.b", "../x", "x" * 21, "a\n"):
            with self.subTest(name), self.assertRaises(Failure):
                Cluster.named(name)

    def test_unix_sockets_stay_short(self) -> None:
        # Those inside a node are at fixed paths; kubelet's longest is this one.
        longest = "/var/lib/kubelet/device-plugins/kubelet.sock"
        self.assertLess(max(len(longest), len(str(settings.CONTAINERD_SOCKET))), 108)

    def test_roots_follow_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"KR8TIV_RUN": "/r", "KR8TIV_DATA": "/d"}):
            cluster = Cluster.named("n")
        self.assertEqual((cluster.run_dir, cluster.data_dir), (Path("/r/n"), Path("/d/n")))


class PkiTest(unittest.TestCase):
    def test_subject(self) -> None:
        self.assertEqual(pki.subject("u", ["g", "h"]), "/O=g/O=h/CN=u")
        self.assertEqual(pki.subject("a/b+c\\d", []), "/CN=a\\/b\\+c\\\\d")
        for user, groups in (("", []), ("u", [""])):
            with self.assertRaises(Failure):
                pki.subject(user, groups)


class StateTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cluster = Cluster("n", Path(folder.name), Path(folder.name) / "data")
        self.cluster.run_dir.mkdir()

    def test_round_trip(self) -> None:
        saved = state.State(Mode.KWOK, 3, True, {"etcd": process.Process.of(os.getpid())})
        saved.save(self.cluster)
        self.assertEqual(state.load(self.cluster), saved)
        self.assertEqual(saved.dead(), [])

    def test_unreadable_record_counts_as_none(self) -> None:
        for text in ("", "{", "[]", '{"mode": "other"}'):
            self.cluster.state_file.write_text(text)
            self.assertIsNone(state.load(self.cluster), text)

    def test_lock_goes_with_the_cluster(self) -> None:
        with state.exclusive(self.cluster):
            self.assertTrue(self.cluster.lock_file.exists())
            self.cluster.run_dir.rmdir()
        self.assertFalse(self.cluster.lock_file.exists())

    def test_lock_of_a_cluster_that_never_was_goes_with_the_failure(self) -> None:
        self.cluster.run_dir.rmdir()
        with self.assertRaises(Failure), state.exclusive(self.cluster):
            raise Failure("no")
        self.assertFalse(self.cluster.lock_file.exists())


class HealthTest(unittest.TestCase):
    CLUSTER = Cluster("n", Path("/run"), Path("/data"))

    @staticmethod
    def node(name: str, ready: str) -> dict[str, object]:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}

    def test_only_nodes_of_its_own_count(self) -> None:
        nodes = [self.node("n-node", "True"), self.node("foreign", "False")]
        self.assertEqual(health.missing_nodes(self.CLUSTER, state.State(Mode.NODE, 1), nodes), [])
        self.assertEqual(health.missing_nodes(self.CLUSTER, state.State(Mode.CONTROL_PLANE, 0), nodes), [])

    def test_unready_and_absent_nodes_are_named(self) -> None:
        nodes = [self.node("n-fake-0", "True"), self.node("n-fake-1", "Unknown")]
        found = health.missing_nodes(self.CLUSTER, state.State(Mode.KWOK, 3), nodes)
        self.assertEqual(found, ["node n-fake-1 is not ready", "node n-fake-2 is not ready"])


class ProcessTest(unittest.TestCase):
    def test_a_reused_id_is_another_process(self) -> None:
        me = process.Process.of(os.getpid())
        self.assertTrue(me.alive())
        self.assertFalse(process.Process(me.pid, me.started - 1).alive())

    def test_marked_processes_are_found_with_their_children_and_killed(self) -> None:
        marker = {**os.environ, process.MARKER: "unit-x/part"}
        child = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], env=marker)
        self.addCleanup(child.wait)
        wait.until(lambda: len(process.marked("unit-x")) == 2, "the shell starting its child", 10)
        self.assertEqual(process.marked("unit"), set())
        process.kill(process.marked("unit-x"))
        self.assertFalse([pid for pid in process.marked("unit-x") if process.is_running(pid)])

    def test_ancestry_holds_this_process_and_its_parent(self) -> None:
        self.assertLessEqual({os.getpid(), os.getppid()}, process.ancestry())


class WaitTest(unittest.TestCase):
    def test_deadline_shows_the_log(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
            log.write("first\nlast words\n")
            log.flush()
            with self.assertRaisesRegex(Failure, r"(?s)it: not within 0 s.*last words"):
                wait.until(lambda: False, "it", 0, log=Path(log.name))

    def test_death_is_noticed_before_the_deadline(self) -> None:
        with self.assertRaisesRegex(Failure, "ended"):
            wait.until(lambda: False, "it", 600, died=lambda: True)


class CgroupTest(unittest.TestCase):
    def test_hierarchies(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in ("cpu", "memory"):
                (root / name).mkdir()
            (root / "cpuacct").symlink_to("cpu")
            self.assertEqual([p.name for p in cgroup.hierarchies(root)], ["cpu", "memory"])
            (root / "cgroup.controllers").touch()
            self.assertEqual(cgroup.hierarchies(root), [root])


class ArchiveTest(unittest.TestCase):
    IMAGE = ociarchive.Image("localhost/x:1", {"bin/a": b"content"}, {"bin/b": "a"}, ["/bin/a"])

    def test_every_reference_resolves_to_a_blob_of_its_digest_and_size(self) -> None:
        content = ociarchive.oci_archive([self.IMAGE])
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
        index = json.loads(files["index.json"])
        self.assertEqual(index["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/x:1")
        seen = 0
        queue = list(index["manifests"])
        while queue:
            described = queue.pop()
            algorithm, digest = described["digest"].split(":")
            blob = files[f"blobs/{algorithm}/{digest}"]
            self.assertEqual((hashlib.sha256(blob).hexdigest(), len(blob)), (digest, described["size"]))
            if described["mediaType"].endswith("manifest.v1+json"):
                manifest = json.loads(blob)
                queue += [manifest["config"], *manifest["layers"]]
            seen += 1
        self.assertEqual(seen, 3)

    def test_a_name_can_hold_the_digest(self) -> None:
        image = ociarchive.Image("localhost/x@", {"a": b"content"}, {}, [])
        with tarfile.open(fileobj=io.BytesIO(ociarchive.oci_archive([image]))) as archive:
            index = json.loads(archive.extractfile("index.json").read())
        described = index["manifests"][0]
        self.assertEqual(described["annotations"]["io.containerd.image.name"], f"localhost/x@{described['digest']}")

    def test_same_images_same_bytes(self) -> None:
        self.assertEqual(ociarchive.oci_archive([self.IMAGE]), ociarchive.oci_archive([self.IMAGE]))


class ToolchainTest(unittest.TestCase):
    def test_go_version(self) -> None:
        self.assertEqual(toolchain.go_version("module x\n\ngo 1.26.0\n"), (1, 26, 0))
        self.assertEqual(toolchain.go_version("go 1.26\n"), (1, 26, 0))
        with self.assertRaises(Failure):
            toolchain.go_version("module x\n")

    def test_without_go_it_says_so(self) -> None:
        with (
            mock.patch.object(toolchain, "_find_go", return_value=None),
            self.assertRaisesRegex(Missing, "Go is missing"),
        ):
            toolchain._go(["version"], Path("/"))

    def test_an_old_go_is_refused(self) -> None:
        with (
            mock.patch.object(toolchain, "_go_command_version", return_value="go1.19.8"),
            mock.patch.dict(os.environ, {"GOTOOLCHAIN": "local"}),
            self.assertRaisesRegex(Missing, "go1.19.8"),
        ):
            toolchain._go(["version"], Path("/"))

    def test_the_module_pins_what_the_command_says(self) -> None:
        text = (toolchain.MODULE / "go.mod").read_text()
        self.assertIn(f"k8s.io/kubernetes {settings.KUBERNETES_VERSION}\n", text)


class PackagesTest(unittest.TestCase):
    ABSENT = packages.Package("some-package", "1", "/no/such/file")

    def test_nothing_is_run_when_nothing_is_missing(self) -> None:
        with mock.patch.object(packages, "_apt", side_effect=AssertionError("apt-get was run")):
            packages.ensure((packages.Package("shell", "1", "sh"),))

    def test_without_apt_it_says_what_to_install(self) -> None:
        with (
            mock.patch.object(packages.shutil, "which", return_value=None),
            self.assertRaisesRegex(Missing, "no apt-get .*some-package"),
        ):
            packages.ensure((self.ABSENT,))

    def test_other_versions_are_the_last_resort(self) -> None:
        tried: list[list[str]] = []
        folder = self.enterContext(tempfile.TemporaryDirectory())
        policy = Path(folder) / "policy-rc.d"

        def refuse(arguments: list[str]) -> bool:
            self.assertIn("exit 101", policy.read_text(), "no service may start meanwhile")
            tried.append(arguments)
            return False

        with (
            mock.patch.dict(os.environ, {"KR8TIV_CACHE": folder}),
            mock.patch.object(packages, "_POLICY", policy),
            mock.patch.object(packages, "_apt", side_effect=refuse),
            mock.patch.object(packages, "say"),
            mock.patch.object(cache, "say"),
            self.assertRaisesRegex(Missing, "apt-get can't install some-package"),
        ):
            packages.ensure((self.ABSENT,))
        self.assertEqual([a[-1] for a in tried], ["some-package=1", "update", "some-package=1", "some-package"])
        self.assertFalse(policy.exists())


class ConfigurationTest(unittest.TestCase):
    def test_two_roles_with_one_name_do_not_collide(self) -> None:
        paths = [path for path, _ in manifests.local_path("u")]
        self.assertEqual(len(paths), len(set(paths)))

    def test_every_object_is_applied_to_its_own_path(self) -> None:
        for path, document in [*manifests.dns("u"), *manifests.local_path("u"), *manifests.kwok("u")]:
            self.assertEqual(path.rsplit("/", 1)[1], document["metadata"]["name"])
            self.assertIn(f"/{document['apiVersion']}/", path)
            namespace = document["metadata"].get("namespace")
            self.assertEqual(namespace is not None, "/namespaces/" in path and document["kind"] != "Namespace")

    def test_nodes_hidden_folders_are_mounted_last(self) -> None:
        script = nodeconfig.mount_script()
        self.assertLess(script.index("/var/log"), script.index('"$lib" /var/lib'))
        self.assertLess(script.index('"$programs"'), script.index('"$lib" /var/lib'))

    def test_containers_of_two_clusters_have_two_cgroups(self) -> None:
        roots = {nodeconfig.kubelet(Cluster.named(name))["cgroupRoot"] for name in ("a", "b")}
        self.assertEqual(roots, {"/kr8tiv-a", "/kr8tiv-b"})


@unittest.skipUnless(os.geteuid() == 0, "the command asks for root before anything else")
class CommandLineTest(unittest.TestCase):
    def check(self, argv: list[str], code: int, text: str) -> None:
        with mock.patch.object(cli, "say") as say:
            self.assertEqual(cli.main(argv), code)
        said = say.call_args[0][0]
        self.assertIn(text, said)
        self.assertEqual(said.count("\n"), 0)

    def test_errors_are_one_line(self) -> None:
        self.check(["up", "--name", "NO"], 1, "is no cluster name")
        self.check(["up", "--mode", "node", "--nodes", "3"], 1, "--nodes is for --mode kwok")
        self.check(["up", "--mode", "kwok", "--nodes", "0"], 1, "at least 1")
        for argv in (["exec", "--name", "absent", "--", "true"], ["load", "--name", "absent", "x.tar"]):
            self.check(argv, 1, "is not up")

    def test_needs_root(self) -> None:
        with mock.patch("os.geteuid", return_value=1000):
            self.check(["status"], 2, "needs root")


if __name__ == "__main__":
    unittest.main()
