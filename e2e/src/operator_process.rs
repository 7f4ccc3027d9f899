//! The operator as a process of the test's: started, stopped and listened to. I/O: processes, files, sockets.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::api_proxy::ApiProxy;
use crate::cluster::{SYSTEM_NAMESPACE, variable};
use crate::{Outcome, http, wait};

/// Where the operator serves its health endpoints, and where one beside it does.
const LISTEN: &str = "127.0.0.1:18080";
const LISTEN_BESIDE: &str = "127.0.0.1:18081";
/// Time for the operator to have read everything.
const READY: Duration = Duration::from_mins(1);
/// The operator finishes passes in flight for at most 20 s.
const STOPPED: Duration = Duration::from_secs(25);

/// With what it ends when it refuses its settings, and nothing else.
const WRONG_ARGUMENTS: i32 = 2;

/// The operator, with the rights that the chart gives it.
pub struct OperatorProcess {
    child: Option<Child>,
    log: PathBuf,
    listen: &'static str,
    kubeconfig: PathBuf,
    /// What it calls itself in the Lease; `None` for one that needs none.
    identity: Option<&'static str>,
    /// Which addresses of Supermemory it talks to, where it is not as by default.
    memory: Option<&'static str>,
}

impl OperatorProcess {
    /// Starts the operator that `e2e/run` built, and waits until it is ready.
    pub async fn start() -> Outcome<Self> {
        let log = PathBuf::from(variable("KR8TIV_E2E_OPERATOR_LOG")?);
        let kubeconfig = PathBuf::from(variable("KR8TIV_E2E_OPERATOR_KUBECONFIG")?);
        let mut operator =
            Self { child: None, log, listen: LISTEN, kubeconfig, identity: Some("first"), memory: None };
        operator.resume().await?;
        Ok(operator)
    }

    /// Starts one more of the same cluster, which stands by for as long as the first one holds the Lease.
    pub async fn start_beside(&self) -> Outcome<Self> {
        let (log, kubeconfig) = (self.log.clone(), self.kubeconfig.clone());
        let mut operator = Self {
            child: None,
            log,
            listen: LISTEN_BESIDE,
            kubeconfig,
            identity: Some("second"),
            memory: None,
        };
        operator.resume().await?;
        Ok(operator)
    }

    /// One that goes another way to the API server, and does not stand for election: the first one must be stopped. It
    /// is not started yet.
    #[must_use]
    pub fn through(&self, proxy: &ApiProxy) -> Self {
        let (log, kubeconfig) = (self.log.clone(), proxy.kubeconfig().clone());
        Self { child: None, log, listen: LISTEN_BESIDE, kubeconfig, identity: None, memory: None }
    }

    /// The same, standing for election under a name of its own.
    #[must_use]
    pub fn candidate_through(&self, proxy: &ApiProxy, identity: &'static str) -> Self {
        let mut operator = self.through(proxy);
        operator.identity = Some(identity);
        operator
    }

    /// Waits for its end, which nobody has asked it for, and gives its exit status.
    pub async fn ended(&mut self) -> Outcome<ExitStatus> {
        let status = wait::until("the operator ended by itself", READY, async || {
            self.exited()?.ok_or_else(|| "it still runs".into())
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// From its next start on it talks to a Supermemory at these addresses; `None` for those that it does by default.
    pub fn talk_to(&mut self, addresses: Option<&'static str>) {
        self.memory = addresses;
    }

    /// What it answers at a path.
    pub async fn get(&self, path: &str) -> Outcome<(u16, String)> {
        http::get(&format!("http://{}{path}", self.listen)).await
    }

    /// Starts it again after [`Self::stop`].
    pub async fn resume(&mut self) -> Outcome {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let child = Command::new(variable("KR8TIV_E2E_OPERATOR")?)
            .args([
                "--watchdog-image=example.com/kr8tiv/watchdog:e2e",
                "--sandbox-image=example.com/kr8tiv/sandbox:e2e",
            ])
            .arg("--log=info,kr8tiv_operator=debug")
            .args(self.identity.iter().flat_map(|identity| {
                [format!("--lease-namespace={SYSTEM_NAMESPACE}"), format!("--identity={identity}")]
            }))
            .args(self.memory.map(|addresses| format!("--supermemory-addresses={addresses}")))
            .arg(format!("--listen={}", self.listen))
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let ended = wait::until("the operator ready", READY, async || {
            if let Some(status) = self.exited()? {
                return Ok(Some(status));
            }
            match self.get("/readyz").await? {
                (200, _) => Ok(None),
                (status, body) => Err(format!("/readyz answers {status}: {body}").into()),
            }
        })
        .await?;
        match ended {
            None => Ok(()),
            Some(status) => {
                Err(format!("the operator ended with {status}; its log: {}", self.log.display()).into())
            }
        }
    }

    /// Stops it as kubelet would, and gives its exit status.
    pub async fn stop(&mut self) -> Outcome<ExitStatus> {
        let child = self.child.as_ref().ok_or("the operator is not running")?;
        let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no process id")?;
        kill_process(pid, Signal::TERM)?;
        let status = wait::until("the operator ended after SIGTERM", STOPPED, async || {
            self.exited()?.ok_or_else(|| "it still runs".into())
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// Kills it: it can't finish or release anything.
    pub fn kill(&mut self) -> Outcome {
        let mut child = self.child.take().ok_or("the operator is not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn exited(&mut self) -> Outcome<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Its log so far, of all its starts.
    pub fn log(&self) -> OperatorLog {
        OperatorLog { path: self.log.clone() }
    }
}

/// What the operator says of settings that it refuses.
pub async fn refusal_of(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<String> {
    let output = tokio::process::Command::new(variable("KR8TIV_E2E_OPERATOR")?)
        .args(arguments)
        .envs(environment.iter().copied())
        // One that takes them after all must not work beside the tests' own.
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(READY, output).await.map_err(|_| "the operator goes on with them")??;
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(WRONG_ARGUMENTS) => Ok(told),
        _ => Err(format!("the operator ended with {}: {told}", output.status).into()),
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; then there is nothing to kill.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The operator's log: JSON objects, one a line.
#[derive(Clone)]
pub struct OperatorLog {
    path: PathBuf,
}

impl OperatorLog {
    /// The length of the log as it is now.
    pub fn mark(&self) -> Outcome<u64> {
        Ok(self.path.metadata()?.len())
    }

    /// The log as text, from a mark on.
    pub fn text_since(&self, mark: u64) -> Outcome<String> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(mark))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The complete lines from a mark on.
    pub fn lines_since(&self, mark: u64) -> Outcome<Vec<Value>> {
        let text = self.text_since(mark)?;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line: &str| {
            serde_json::from_str(line)
                .map_err(|error| format!("a line of the log is no JSON ({error}): {line}").into())
        };
        complete.lines().map(parse).collect()
    }
}
