//! Judging stage, pure: whether a host key is one that `known_hosts` has for the host.

use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts};

/// The port that is left out in the file.
const USUAL_PORT: u16 = 22;

/// Whether the file has the key for exactly this host and port. Patterns, hashed names, markers, and lines that can't be
/// read are nothing that the operator writes, and admit nobody.
pub fn knows(file: &str, host: &str, port: u16, key: &PublicKey) -> bool {
    let wanted = if port == USUAL_PORT { host.to_owned() } else { format!("[{host}]:{port}") };
    let names = |entry: &Entry| match entry.host_patterns() {
        HostPatterns::Patterns(names) => names.contains(&wanted),
        HostPatterns::HashedName { .. } => false,
    };
    KnownHosts::new(file)
        .flatten()
        .filter(|entry| entry.marker().is_none() && names(entry))
        .any(|entry| entry.public_key().key_data() == key.key_data())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn knows_key(file: &str, host: &str, port: u16) -> bool {
        knows(file, host, port, &PublicKey::from_openssh(KEY).unwrap())
    }

    #[test]
    fn a_key_counts_for_its_own_host_and_port_only() {
        let file = format!("[a.b.svc]:2222 {KEY}\n");
        assert!(knows_key(&file, "a.b.svc", 2222));
        assert!(!knows_key(&file, "a.b.svc", 22));
        assert!(!knows_key(&file, "b.b.svc", 2222));
        assert!(knows_key(&format!("a.b.svc {KEY} comment"), "a.b.svc", 22));
        assert!(!knows_key(&format!("[a.b.svc]:2222 {OTHER}\n"), "a.b.svc", 2222));
        assert!(knows_key(&format!("[a.b.svc]:2222 {OTHER}\n[a.b.svc]:2222 {KEY}\n"), "a.b.svc", 2222));
    }

    #[test]
    fn what_the_operator_does_not_write_admits_nobody() {
        for file in [
            String::new(),
            "nonsense".to_owned(),
            format!("# [a]:2222 {KEY}"),
            format!("* {KEY}"),
            format!("@revoked [a]:2222 {KEY}"),
            format!("@cert-authority [a]:2222 {KEY}"),
            "[a]:2222 ssh-ed25519 AAAA".to_owned(),
        ] {
            assert!(!knows_key(&file, "a", 2222), "{file}");
        }
    }
}
