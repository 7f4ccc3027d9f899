//! What the tests stand on: the mounts of a pod, bundles, and the watchdog as a process.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kr8tiv_watchdog::cli::Paths;
use kr8tiv_watchdog::manifest::Ownership;
use kr8tiv_watchdog::names::Digest;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

/// How long anything may take before a test gives up on it; generous, for a machine under load.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(PATIENCE, what, condition);
}

/// Waits longer for one that takes longer.
pub(crate) fn within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < end, "not within {patience:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What is said of a gateway, whatever the disk of the machine that the test runs on is like.
fn without_the_disk(mut gateway: Value) -> Value {
    if let Some(reasons) = gateway["reasons"].as_array_mut() {
        reasons.retain(|reason| reason != "DiskFull");
        if reasons.is_empty() && gateway["state"] == "Degraded" {
            gateway["state"] = json!("Alive");
        }
    }
    gateway
}

/// What the compiler would have made.
#[derive(Clone)]
pub(crate) struct Bundle {
    name: String,
    config: String,
    workspaces: BTreeMap<String, BTreeMap<String, (String, Ownership)>>,
}

impl Bundle {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), config: format!("{{\"bundle\":\"{name}\"}}"), workspaces: BTreeMap::new() }
    }

    /// The usual one: an operator-owned and an agent-owned file that both name the bundle.
    pub(crate) fn usual(name: &str) -> Self {
        Self::new(name).file("support", "AGENTS.md", &format!("agents {name}"), Ownership::Operator).file(
            "support",
            "USER.md",
            &format!("user {name}"),
            Ownership::Agent,
        )
    }

    pub(crate) fn agent(mut self, agent: &str) -> Self {
        self.workspaces.entry(agent.into()).or_default();
        self
    }

    pub(crate) fn file(mut self, agent: &str, file: &str, text: &str, ownership: Ownership) -> Self {
        self.workspaces.entry(agent.into()).or_default().insert(file.into(), (text.into(), ownership));
        self
    }

    pub(crate) fn with_config(mut self, config: &Value) -> Self {
        self.config = config.to_string();
        self
    }

    pub(crate) fn hash(&self) -> String {
        Digest::of(self.name.as_bytes()).to_string()
    }

    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    fn delivery(&self) -> String {
        let workspaces: Value = self
            .workspaces
            .iter()
            .map(|(agent, files)| {
                let files: Value = files
                    .iter()
                    .map(|(name, (text, ownership))| {
                        let entry = json!({"sha256": Digest::of(text.as_bytes()), "ownership": ownership});
                        (name.clone(), entry)
                    })
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                (agent.clone(), files)
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        json!({
            "apiVersion": "kr8tiv.ai/delivery/v1",
            "bundleHash": self.hash(),
            "config": {"sha256": Digest::of(self.config.as_bytes())},
            "workspaces": workspaces,
        })
        .to_string()
    }
}

/// The file systems of a pod.
pub(crate) struct Pod {
    _root: tempfile::TempDir,
    pub(crate) paths: Paths,
    /// `watchdog.json`.
    pub(crate) settings: Option<Value>,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let paths = Paths { bundle: at("bundle"), config_dir: at("config"), state_dir: at("state") };
        Self { _root: root, paths, settings: None }
    }

    /// Mounts all ConfigMaps of a bundle, workspaces first.
    pub(crate) fn mount(&self, bundle: &Bundle) {
        self.mount_workspaces(bundle);
        self.mount_config(bundle);
    }

    pub(crate) fn mount_config(&self, bundle: &Bundle) {
        let mut files = vec![("openclaw.json", bundle.config.clone()), ("delivery.json", bundle.delivery())];
        files.extend(self.settings.as_ref().map(|settings| ("watchdog.json", settings.to_string())));
        swap(&self.paths.bundle.join("config"), files.iter().map(|(name, text)| (*name, text.as_str())));
    }

    pub(crate) fn mount_workspaces(&self, bundle: &Bundle) {
        for (agent, files) in &bundle.workspaces {
            let texts = files.iter().map(|(name, (text, _))| (name.as_str(), text.as_str()));
            swap(&self.paths.bundle.join("workspaces").join(agent), texts);
        }
    }

    /// Writes a bundle as plain files: each over the one that is there, or in its place by a rename.
    pub(crate) fn write(&self, bundle: &Bundle, by_rename: bool) {
        let put = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let written = if by_rename { path.with_extension("new") } else { path.clone() };
            fs::write(&written, text).unwrap();
            fs::rename(written, path).unwrap();
        };
        for (agent, files) in &bundle.workspaces {
            for (name, (text, _)) in files {
                put(self.paths.bundle.join("workspaces").join(agent).join(name), text);
            }
        }
        put(self.paths.bundle.join("config/openclaw.json"), &bundle.config);
        put(self.paths.bundle.join("config/delivery.json"), &bundle.delivery());
    }

    pub(crate) fn workspace(&self, path: &str) -> PathBuf {
        self.paths.state_dir.join(format!("workspace-{path}"))
    }

    /// A workspace file's text, which must be that of a regular file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        regular(&self.workspace(path))
    }

    pub(crate) fn config(&self) -> Option<String> {
        regular(&self.paths.config_dir.join("openclaw.json"))
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.paths.state_dir.join(".kr8tiv/delivered.json")
    }
}

/// The text of a regular file; `None` for anything else.
pub(crate) fn regular(path: &Path) -> Option<String> {
    fs::symlink_metadata(path).ok()?.is_file().then(|| fs::read_to_string(path).unwrap())
}

/// Replaces the content of a ConfigMap mount the way kubelet does it: a new directory, then one rename.
pub(crate) fn swap<'a>(mount: &Path, files: impl Iterator<Item = (&'a str, &'a str)>) {
    fs::create_dir_all(mount).unwrap();
    let new = tempfile::Builder::new().prefix("..2026_").tempdir_in(mount).unwrap().keep();
    let mut names = BTreeSet::new();
    for (name, text) in files {
        fs::write(new.join(name), text).unwrap();
        names.insert(name.to_owned());
    }
    let data = mount.join("..data");
    let old = fs::read_link(&data).ok();
    symlink(new.file_name().unwrap(), mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), &data).unwrap();
    for name in &names {
        let link = mount.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    for entry in fs::read_dir(mount).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with("..") && !names.contains(&name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

/// The watchdog's binary, running.
pub(crate) struct Watchdog {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<Vec<String>>>,
    address: Option<SocketAddr>,
}

impl Watchdog {
    /// `run` with a resync so long that only inotify can explain a delivery, until it listens.
    pub(crate) fn run(pod: &Pod) -> Self {
        Self::run_with(pod, &["--resync", "1h"])
    }

    pub(crate) fn run_with(pod: &Pod, arguments: &[&str]) -> Self {
        // Nobody listens on port 1: without a gateway of its own a test must not find one of another.
        let usual = ["--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:1"];
        let usual = if arguments.contains(&"--gateway") { &usual[..2] } else { &usual[..] };
        let arguments: Vec<&str> = usual.iter().chain(arguments).copied().collect();
        Self::start(command("run", pod, &arguments)).listening()
    }

    pub(crate) fn seed(pod: &Pod, deadline: &str) -> Self {
        Self::start(command("seed", pod, &["--deadline", deadline]))
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, copy) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                copy.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
                // The test may have stopped listening; the log keeps the line.
                let _ = sender.send(line);
            }
        });
        Self { child, lines, log, address: None }
    }

    pub(crate) fn listening(mut self) -> Self {
        let line = self.line_with("listening");
        let line: Value = serde_json::from_str(&line).unwrap();
        self.address = Some(line["fields"]["address"].as_str().unwrap().parse().unwrap());
        self
    }

    /// Waits for a log line that contains `text`.
    pub(crate) fn line_with(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?} ({error}) in {:#?}", self.log()),
            }
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends raw bytes and returns everything that comes back.
    pub(crate) fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Waits until the gateway's part of the status is as it should be, and returns it.
    pub(crate) fn gateway_when(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        self.gateway_within(PATIENCE, what, is_it)
    }

    pub(crate) fn gateway_within(
        &self,
        patience: Duration,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + patience;
        loop {
            let last = without_the_disk(self.status()["gateway"].take());
            if is_it(&last) {
                return last;
            }
            assert!(Instant::now() < end, "{what}: {last:#}; log: {:#?}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Code and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let answer = self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: watchdog\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn status(&self) -> Value {
        let (code, body) = self.get("/status");
        assert_eq!(code, 200);
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn wait_delivered(&self, bundle: &Bundle) {
        let what = format!("{} delivered; log: {:#?}", bundle.name, self.log());
        eventually(&what, || self.status()["delivered"]["bundleHash"] == bundle.hash().as_str());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line for a pod.
pub(crate) fn command(subcommand: &str, pod: &Pod, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kr8tiv-watchdog"));
    let Paths { bundle, config_dir, state_dir } = &pod.paths;
    command.arg(subcommand).arg("--bundle").arg(bundle);
    command.arg("--config-dir").arg(config_dir).arg("--state-dir").arg(state_dir).args(arguments);
    command
}
