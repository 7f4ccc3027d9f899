//! An ssh server that does what a test wants, and the Secret of its sandbox as the watchdog's container has it.

use std::fs;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use kr8tiv_watchdog::sandbox::reason::Step;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// What no log may show.
pub(crate) const CANARY: &str = "canary";

/// What it does.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) host_key: PrivateKey,
    /// Whom it lets in.
    pub(crate) admits: PublicKey,
    /// How the command ends.
    pub(crate) exit_code: Option<u32>,
    /// Where something is wrong.
    pub(crate) fault: Option<(Step, Fault)>,
    /// Takes a connection and says nothing, not even that it speaks ssh.
    pub(crate) silent: bool,
    /// Connections until now, and those that are open.
    pub(crate) connections: usize,
    pub(crate) open: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says nothing more.
    Hangs,
    /// It ends the connection.
    HangsUp,
}

/// A server on its own thread, until the test's process ends; and the folder with what its client needs.
pub(crate) struct FakeSandbox {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    secret: tempfile::TempDir,
}

/// The key pair number `seed`.
pub(crate) fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

impl FakeSandbox {
    /// One in which commands run.
    pub(crate) fn start() -> Self {
        let (host_key, client_key) = (key(1), key(2));
        let script = Script {
            host_key,
            admits: client_key.public_key().clone(),
            exit_code: Some(0),
            fault: None,
            silent: false,
            connections: 0,
            open: 0,
        };
        let script = Arc::new(Mutex::new(script));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&script);
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let stream = listener.accept().await.unwrap().0;
                    tokio::spawn(serve(stream, Arc::clone(&shared)));
                }
            });
        });
        let sandbox = Self { address, script, secret: tempfile::tempdir().unwrap() };
        sandbox.write("id_ed25519", &client_key.to_openssh(LineEnding::LF).unwrap());
        sandbox.know(key(1).public_key());
        sandbox
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    /// What the command line of the watchdog has.
    pub(crate) fn target(&self, name: &str) -> String {
        format!("{name};{};{}", self.address, self.dir().display())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.secret.path()
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.dir().join(file), text).unwrap();
    }

    /// Makes this its known host key.
    pub(crate) fn know(&self, key: &PublicKey) {
        let (host, port) = (self.address.ip(), self.address.port());
        self.write("known_hosts", &format!("[{host}]:{port} {}\n", key.to_openssh().unwrap()));
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, shared: Arc<Mutex<Script>>) {
    let script = {
        let mut script = lock(&shared);
        script.connections += 1;
        script.open += 1;
        script.clone()
    };
    // How a connection ends is the watchdog's affair.
    let _ = answer(stream, script).await;
    lock(&shared).open -= 1;
}

async fn answer(mut stream: TcpStream, script: Script) -> Result<(), Error> {
    match script.fault {
        Some((Step::Greet, Fault::HangsUp)) => return Ok(()),
        Some((Step::Greet, Fault::Hangs)) => {
            if !script.silent {
                stream.write_all(format!("SSH-2.0-{CANARY}\r\n").as_bytes()).await?;
            }
            stream.read_to_end(&mut Vec::new()).await?;
            return Ok(());
        }
        _ => {}
    }
    let config = server::Config {
        keys: vec![script.host_key.clone()],
        auth_rejection_time: Duration::ZERO,
        ..server::Config::default()
    };
    let (pipe, end) = duplex(64 * 1024);
    tokio::spawn(async move { server::run_stream(Arc::new(config), end, Sshd(script)).await?.await });
    let ((mut said, mut answers), (mut heard, mut said_here)) = (stream.split(), split(pipe));
    // A server that hangs reads nothing more; that its client has gone is to be seen in any case.
    tokio::select! {
        ended = copy(&mut said, &mut said_here) => ended?,
        ended = copy(&mut heard, &mut answers) => ended?,
    };
    Ok(())
}

struct Sshd(Script);

impl Sshd {
    async fn fail(&self, step: Step) -> Result<(), Error> {
        match self.0.fault {
            Some((at, Fault::Hangs)) if at == step => pending().await,
            Some((at, Fault::HangsUp)) if at == step => Err(Error::Disconnect),
            _ => Ok(()),
        }
    }
}

impl Handler for Sshd {
    type Error = Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Error> {
        self.fail(Step::Authenticate).await?;
        let admitted = user == "sandbox" && key.public_key.key_data() == self.0.admits.key_data();
        Ok(if admitted { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Error> {
        self.fail(Step::Command).await?;
        assert_eq!(command, b"true");
        session.channel_success(channel)?;
        if let Some(code) = self.0.exit_code {
            session.exit_status_request(channel, code)?;
        }
        session.eof(channel)?;
        session.close(channel)
    }
}
