//! Input stage, pure: which sandbox is probed, as `<name>;<host>:<port>;<dir>` on the command line.

use std::path::PathBuf;
use std::str::FromStr;

/// Of a name or host, in bytes: the longest name of DNS.
const MAX_NAME: usize = 253;

/// A sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is called in the status and in metrics.
    pub name: String,
    /// Its Service, as in `known_hosts`.
    pub host: String,
    /// Where sshd listens.
    pub port: u16,
    /// The folder with `id_ed25519` and `known_hosts`.
    pub dir: PathBuf,
}

/// What is wrong with the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It has another number of parts.
    #[error("must be <name>;<host>:<port>;<dir>")]
    Parts,
    /// The name is empty, too long, or has other characters.
    #[error("the name {0:?} must have 1 to 253 characters of a-z, 0-9, '.' and '-'")]
    Name(String),
    /// The host is empty, too long, or has other characters.
    #[error("the host {0:?} must have 1 to 253 characters of a-z, 0-9, '.' and '-'")]
    Host(String),
    /// The port is none.
    #[error("the port {0:?} must be a number from 1 to 65535")]
    Port(String),
    /// The folder depends on where the program was started.
    #[error("the folder {0:?} must be an absolute path")]
    Dir(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let mut parts = text.split(';');
        let (Some(name), Some(address), Some(dir), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TargetError::Parts);
        };
        let (host, port) = address.rsplit_once(':').ok_or(TargetError::Parts)?;
        if !is_dns_name(name) {
            return Err(TargetError::Name(name.to_owned()));
        }
        if !is_dns_name(host) {
            return Err(TargetError::Host(host.to_owned()));
        }
        let port_number = port.parse().ok().filter(|port| *port != 0);
        let port = port_number.ok_or_else(|| TargetError::Port(port.to_owned()))?;
        if !dir.starts_with('/') {
            return Err(TargetError::Dir(dir.to_owned()));
        }
        Ok(Self { name: name.to_owned(), host: host.to_owned(), port, dir: dir.into() })
    }
}

fn is_dns_name(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_renders_is_read() {
        let target = "acme-sandbox;acme-sandbox.acme.svc:2222;/etc/openclaw/ssh".parse();
        let expected = Target {
            name: "acme-sandbox".into(),
            host: "acme-sandbox.acme.svc".into(),
            port: 2222,
            dir: "/etc/openclaw/ssh".into(),
        };
        assert_eq!(target, Ok(expected));
    }

    #[test]
    fn each_mistake_is_named() {
        let long = "a".repeat(254);
        for (bad, expected) in [
            ("", TargetError::Parts),
            ("a;b:1", TargetError::Parts),
            ("a;b:1;/c;d", TargetError::Parts),
            ("a;b;/c", TargetError::Parts),
            (";b:1;/c", TargetError::Name(String::new())),
            ("A b;b:1;/c", TargetError::Name("A b".into())),
            (&format!("{long};b:1;/c"), TargetError::Name(long.clone())),
            ("a;:1;/c", TargetError::Host(String::new())),
            ("a;user@b:1;/c", TargetError::Host("user@b".into())),
            ("a;b:0;/c", TargetError::Port("0".into())),
            ("a;b:65536;/c", TargetError::Port("65536".into())),
            ("a;b:;/c", TargetError::Port(String::new())),
            ("a;b:1;c", TargetError::Dir("c".into())),
            ("a;b:1;", TargetError::Dir(String::new())),
        ] {
            assert_eq!(bad.parse::<Target>(), Err(expected), "{bad}");
        }
    }
}
