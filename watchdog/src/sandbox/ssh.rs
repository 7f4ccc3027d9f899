//! Probing stage, I/O: one attempt to run a command in a sandbox, as the gateway does for each step of a tool.
//!
//! Whoever runs commands in a sandbox can put another server in sshd's place. So what is taken from it is bounded, in
//! time and in size, nothing of it is ever repeated, and it gets to see no secret: a key that signs is not sent.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Handler};
use russh::keys::{Algorithm, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{AlgorithmKind, ChannelMsg, Preferred, cipher, kex};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::sandbox::known_hosts::knows;
use crate::sandbox::reason::{Outcome, Step};
use crate::sandbox::target::Target;
use crate::secret::Secret;

/// Whom sshd lets in.
const USER: &str = "sandbox";
/// The least that shows that a command runs.
const COMMAND: &str = "true";
/// A key has a few hundred bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Bytes of a digest that tell two makings of keys apart.
const MARK_BYTES: usize = 5;
/// What a server may send to a channel before we take it: `true` says nothing.
const WINDOW_BYTES: u32 = 4096;
/// Of messages to a channel: its opening, the exit code, and its end.
const WAITING_MESSAGES: usize = 8;

/// Why a session did not come to its end.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    /// The name is unknown, or nobody takes the connection.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The host key is not the one that is known, or none is known.
    #[error("the host key is not the one that is known")]
    HostKey,
    /// The private key cannot be used.
    #[error("the private key cannot be used")]
    PrivateKey,
    /// The public key is not let in.
    #[error("the key is not let in")]
    NotLetIn,
    /// ssh itself failed. How, can be in the server's words.
    #[error("no ssh, or it broke off")]
    Ssh(#[from] russh::Error),
}

/// Tries once, with these keys and within this time.
pub async fn attempt(target: &Target, files: Files, within: Duration) -> Outcome {
    let step = Cell::new(Step::Connect);
    match timeout(within, session(target, files, &step)).await {
        Ok(Ok(code)) => return Outcome::Exited(code),
        Ok(Err(error)) => {
            if is_about_the_host_key(&error) {
                step.set(Step::Identify);
            }
            tracing::debug!(sandbox = target.name, %error, "no answer");
        }
        Err(_) => tracing::debug!(sandbox = target.name, "no answer in time"),
    }
    Outcome::Stopped(step.get())
}

async fn session(target: &Target, files: Files, step: &Cell<Step>) -> Result<Option<u32>, SessionError> {
    let (stream, _hang_up) = connect(target).await.map_err(SessionError::Connect)?;
    step.set(Step::Greet);
    let server = Server { target: target.clone(), known_hosts: files.known_hosts };
    let mut session = client::connect_stream(Arc::new(config()), stream, server).await?;
    step.set(Step::Authenticate);
    authenticate(&mut session, files.private_key).await?;
    step.set(Step::Command);
    run(&session).await
}

/// What the Secret has, read anew each time: it changes when keys are rotated.
pub struct Files {
    known_hosts: Option<String>,
    private_key: Option<Secret>,
}

impl Files {
    /// A file that is missing or can't be read is none, which fails where it is needed.
    pub async fn read(target: &Target) -> Self {
        let dir = target.dir.clone();
        let reading = spawn_blocking(move || Self {
            known_hosts: read(&dir.join("known_hosts")),
            private_key: read(&dir.join("id_ed25519")).map(Secret::new),
        });
        reading.await.unwrap_or(Self { known_hosts: None, private_key: None })
    }

    /// Which keys they are, by their public halves, as the operator writes it on the sandbox's Pod.
    pub fn mark(&self) -> Option<String> {
        let client = decode_secret_key(self.private_key.as_ref()?.expose(), None).ok()?;
        let client = client.public_key().to_openssh().ok()?;
        let server = self.known_hosts.as_deref()?.split_once(' ')?.1.trim_end();
        let digest = Sha256::digest(format!("{}\n{server}", without_comment(&client)));
        Some(digest.iter().take(MARK_BYTES).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Algorithm and key.
fn without_comment(key: &str) -> &str {
    let end = key.match_indices(' ').nth(1).map_or(key.len(), |(end, _)| end);
    &key[..end]
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    if let Err(error) = &read {
        tracing::debug!(path = %path.display(), %error, "cannot be read");
    }
    read.ok().map(|_| text)
}

/// Ends the connection when it is dropped: the library's own task holds it, too, and would wait for ever for a server
/// that says nothing more.
struct HangUp(std::net::TcpStream);

impl Drop for HangUp {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

async fn connect(target: &Target) -> io::Result<(TcpStream, HangUp)> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?.into_std()?;
    let hang_up = HangUp(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, hang_up))
}

/// What every OpenSSH of the last ten years can do, and nothing else: the less is agreed on, the less is run.
fn config() -> client::Config {
    client::Config {
        window_size: WINDOW_BYTES,
        channel_buffer_size: WAITING_MESSAGES,
        preferred: Preferred {
            kex: Cow::Borrowed(&[kex::CURVE25519, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT]),
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            cipher: Cow::Borrowed(&[cipher::CHACHA20_POLY1305, cipher::AES_256_GCM]),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
}

/// Judges the server.
struct Server {
    target: Target,
    known_hosts: Option<String>,
}

impl Handler for Server {
    type Error = SessionError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, SessionError> {
        let Target { host, port, .. } = &self.target;
        let file = self.known_hosts.as_deref().unwrap_or_default();
        // A certificate vouches for a key that we don't know.
        let known = key.certificate().is_none() && knows(file, host, *port, &key.public_key());
        if known { Ok(true) } else { Err(SessionError::HostKey) }
    }
}

/// Also what fails before the key is compared: a server without a key of that kind, or without the private part of it.
fn is_about_the_host_key(error: &SessionError) -> bool {
    use russh::Error::{NoCommonAlgo, WrongServerSig};
    matches!(
        error,
        SessionError::HostKey
            | SessionError::Ssh(WrongServerSig | NoCommonAlgo { kind: AlgorithmKind::Key, .. })
    )
}

async fn authenticate(session: &mut Handle<Server>, key: Option<Secret>) -> Result<(), SessionError> {
    let key = key.ok_or(SessionError::PrivateKey)?;
    let key = decode_secret_key(key.expose(), None).map_err(|_| SessionError::PrivateKey)?;
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let answer = session.authenticate_publickey(USER, key).await?;
    if answer.success() { Ok(()) } else { Err(SessionError::NotLetIn) }
}

async fn run(session: &Handle<Server>) -> Result<Option<u32>, SessionError> {
    let mut channel = session.channel_open_session().await?;
    channel.exec(true, COMMAND).await?;
    let mut code = None;
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
            ChannelMsg::Failure | ChannelMsg::Close => break,
            _ => {}
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    /// The operator's test has the same keys and the same mark.
    #[test]
    fn the_mark_of_keys_is_the_operators() {
        let key = |seed| PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
        let server = key(2).public_key().to_openssh().unwrap();
        let files = |known_hosts: &str| Files {
            known_hosts: Some(known_hosts.to_owned()),
            private_key: Some(Secret::new(key(1).to_openssh(LineEnding::LF).unwrap().to_string())),
        };
        let mark = files(&format!("[a.b.svc]:2222 {server}\n")).mark();
        assert_eq!(mark.as_deref(), Some("d341678c75"));
        assert_ne!(files("[a.b.svc]:2222 another\n").mark(), mark);
        assert_eq!(Files { known_hosts: None, private_key: None }.mark(), None);
    }
}
