//! Apply stage: the keys between a gateway and its sandboxes. Reads, creates and replaces a Secret for each sandbox.
//!
//! All of a Secret is of one making: what is missing, changed by hand or to be rotated makes all of it anew, in one
//! write. What is kept of it here is which keys they are.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kr8tiv_compiler::{
    AUTHORIZED_KEYS, CLIENT_KEY, HOST_KEY, KNOWN_HOSTS, SANDBOX_PORT, SandboxKeys, asked_sandbox_rotation,
};
use kr8tiv_crds::{Tenant, meta};
use kube::api::{Patch, PatchParams};
use rand::TryRngCore;
use ring::digest::{SHA256, digest};
use serde_json::json;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use tokio::time::Instant;

use super::minted::{accept, said};
use super::{DOUBT_INTERVAL, Error, Secrets};
use crate::key::Key;

/// Bytes of which an Ed25519 key pair is made.
const SEED_BYTES: usize = 32;
/// Bytes of a digest that tell two makings apart.
const MARK_BYTES: usize = 5;
/// What the gateway may do with its key in a sandbox: commands, with a terminal or without, and nothing else.
const OPTIONS: &str = "restrict,pty";

/// What is known of a sandbox's Secret.
#[derive(Clone)]
pub(super) struct Kept {
    made_for: SandboxKeys,
    /// The value of [`meta::ROTATE_SANDBOX_KEYS`] that the keys were made for.
    rotation: Option<String>,
    /// Which keys they are.
    mark: String,
    checked: Instant,
}

impl Secrets {
    /// Which keys the sandboxes have, by their names, as far as it is known.
    pub fn sandbox_keys(&self, tenant: &Key) -> BTreeMap<String, String> {
        let known = self.known.lock();
        let kept = known.get(tenant).into_iter().flat_map(|known| &known.sandboxes);
        kept.map(|(sandbox, kept)| (sandbox.clone(), kept.mark.clone())).collect()
    }

    /// Makes sure that the keys exist and fit each other; makes them anew once for each value of the annotation
    /// [`meta::ROTATE_SANDBOX_KEYS`]. Asks the API server once after a start, for a rotation, and for a sandbox that
    /// `in_doubt` says it of. Gives which keys the sandboxes have, and what went wrong: a sandbox whose keys can't be seen
    /// to keeps those that it is `running` with, and holds nobody else up.
    pub async fn ensure_sandbox_keys(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        sandboxes: &[SandboxKeys],
        in_doubt: impl Fn(&str) -> bool,
        running: impl Fn(&str) -> Option<String>,
    ) -> (BTreeMap<String, String>, Option<Error>) {
        let key = Key::of(&tenant.metadata);
        let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
        let asked = asked_sandbox_rotation(tenant);
        let before = self.known(&key, uid).sandboxes;
        let now = Instant::now();
        let (mut all, mut marks, mut failed) = (BTreeMap::new(), BTreeMap::new(), None);
        for wanted in sandboxes {
            let kept = before.get(&wanted.sandbox).filter(|kept| {
                let doubted = in_doubt(&wanted.sandbox) && now - kept.checked >= DOUBT_INTERVAL;
                let is_done = asked.is_none_or(|asked| kept.rotation.as_deref() == Some(asked));
                kept.made_for == *wanted && is_done && !doubted
            });
            let kept = if let Some(kept) = kept {
                kept.clone()
            } else {
                match self.settle(tenant, tenant_id, wanted, asked).await {
                    Ok((rotation, mark)) => Kept { made_for: wanted.clone(), rotation, mark, checked: now },
                    Err(error) => {
                        let mark = running(&wanted.sandbox);
                        marks.extend(mark.map(|mark| (wanted.sandbox.clone(), mark)));
                        failed.get_or_insert(error);
                        continue;
                    }
                }
            };
            marks.insert(wanted.sandbox.clone(), kept.mark.clone());
            all.insert(wanted.sandbox.clone(), kept);
        }
        self.known.lock().entry(key).or_default().sandboxes = all;
        (marks, failed)
    }

    /// Reads the Secret, and makes or replaces it where that is due. Gives the rotation that it is of, and which keys it
    /// has.
    async fn settle(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        wanted: &SandboxKeys,
        asked: Option<&str>,
    ) -> Result<(Option<String>, String), Error> {
        let key = Key::of(&tenant.metadata);
        let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
        // As with the tokens: for a tenant that has never been applied, creating tells whether there is one.
        let is_new = tenant.status.as_ref().is_none_or(|status| status.bundle_hash.is_none());
        if is_new && let Some(mark) = self.mint_keys(tenant, tenant_id, wanted, asked).await? {
            return Ok((asked.map(str::to_owned), mark));
        }
        let Some(found) = self.get(&key, &wanted.secret).await? else {
            let made = self.mint_keys(tenant, tenant_id, wanted, asked).await?;
            let mark = made.ok_or_else(|| Error::Leaving { name: wanted.secret.clone() })?;
            return Ok((asked.map(str::to_owned), mark));
        };
        accept(&found, uid, tenant_id).map_err(|error| match error {
            Error::Taken { name } => Error::KeysTaken { name },
            other => other,
        })?;
        let annotations = found.metadata.annotations.as_ref();
        let done = annotations.and_then(|all| all.get(meta::ROTATE_SANDBOX_KEYS));
        let rotated = asked.filter(|asked| done.map(String::as_str) != Some(asked));
        if rotated.is_none()
            && let Some(mark) = mark(&texts(&found), &wanted.host)
        {
            return Ok((done.cloned(), mark));
        }
        let data = make(&wanted.host)?;
        let mark = mark(&data, &wanted.host).unwrap_or_default();
        // It must be as it was read: of two operators, one makes the keys.
        let mut patch = json!({
            "metadata": {"uid": found.metadata.uid, "resourceVersion": found.metadata.resource_version},
            "stringData": data,
        });
        if let Some(rotated) = rotated {
            patch["metadata"]["annotations"] = json!({meta::ROTATE_SANDBOX_KEYS: rotated});
        }
        let parameters =
            PatchParams { field_manager: Some(crate::FIELD_MANAGER.into()), ..PatchParams::default() };
        let answer = self.api(&key).patch_metadata(&wanted.secret, &parameters, &Patch::Merge(&patch)).await;
        answer.map_err(|source| Error::Api { name: wanted.secret.clone(), source: Box::new(source) })?;
        said(&key, &wanted.secret, if rotated.is_some() { "keys rotated" } else { "keys made anew" });
        Ok((rotated.map(str::to_owned).or_else(|| done.cloned()), mark))
    }

    /// Creates the Secret. Gives which keys it has; `None` when there is one of that name.
    async fn mint_keys(
        &self,
        tenant: &Tenant,
        tenant_id: &str,
        wanted: &SandboxKeys,
        asked: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let data = make(&wanted.host)?;
        let mark = mark(&data, &wanted.host).unwrap_or_default();
        let annotation = asked.map(|value| (meta::ROTATE_SANDBOX_KEYS, value));
        if !self.create(tenant, tenant_id, &wanted.secret, annotation, data).await? {
            return Ok(None);
        }
        said(&Key::of(&tenant.metadata), &wanted.secret, "keys made");
        Ok(Some(mark))
    }
}

/// Makes both key pairs, as the files that each side reads.
fn make(host: &str) -> Result<BTreeMap<String, String>, Error> {
    let (client, server) = (pair()?, pair()?);
    let private = |key: &PrivateKey| {
        let text = key.to_openssh(LineEnding::LF).map_err(Error::Keys)?;
        Ok::<_, Error>(text.to_string())
    };
    let data = [
        (CLIENT_KEY, private(&client)?),
        (AUTHORIZED_KEYS, format!("{OPTIONS} {}\n", public(&client)?)),
        (HOST_KEY, private(&server)?),
        (KNOWN_HOSTS, format!("{} {}\n", host_pattern(host), public(&server)?)),
    ];
    Ok(data.map(|(name, text)| (name.to_owned(), text)).into())
}

fn pair() -> Result<PrivateKey, Error> {
    let mut seed = [0; SEED_BYTES];
    rand::rngs::OsRng.try_fill_bytes(&mut seed).map_err(Error::Randomness)?;
    Ok(Ed25519Keypair::from_seed(&seed).into())
}

/// The public half, `ssh-ed25519 AAAA…`.
fn public(key: &PrivateKey) -> Result<String, Error> {
    key.public_key().to_openssh().map_err(Error::Keys)
}

/// How ssh looks up a host on a port of its own.
fn host_pattern(host: &str) -> String {
    format!("[{host}]:{SANDBOX_PORT}")
}

fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    let text = |ByteString(bytes): &ByteString| String::from_utf8(bytes.clone()).ok();
    data.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

/// Which keys these are, by their public halves; `None` when they are not whole or do not fit each other or the host.
fn mark(data: &BTreeMap<String, String>, host: &str) -> Option<String> {
    let of_private = |name| public(&PrivateKey::from_openssh(data.get(name)?).ok()?).ok();
    let (client, server) = (of_private(CLIENT_KEY)?, of_private(HOST_KEY)?);
    let is_known = *data.get(KNOWN_HOSTS)? == format!("{} {server}\n", host_pattern(host));
    let is_let = *data.get(AUTHORIZED_KEYS)? == format!("{OPTIONS} {client}\n");
    let digest = digest(&SHA256, format!("{client}\n{server}").as_bytes());
    let digits = digest.as_ref().iter().take(MARK_BYTES).map(|byte| format!("{byte:02x}")).collect();
    (is_known && is_let).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "acme-sandbox.team.svc";

    #[test]
    fn two_makings_are_told_apart_and_each_fits_itself() {
        let (one, other) = (make(HOST).unwrap(), make(HOST).unwrap());
        let mark_of_one = mark(&one, HOST).unwrap();
        assert_eq!((mark(&one, HOST).as_ref(), mark_of_one.len()), (Some(&mark_of_one), 2 * MARK_BYTES));
        assert_ne!(mark(&other, HOST), Some(mark_of_one));
        assert!(
            one[KNOWN_HOSTS].starts_with("[acme-sandbox.team.svc]:2222 ssh-ed25519 AAAA"),
            "{}",
            one[KNOWN_HOSTS]
        );
        assert!(
            one[AUTHORIZED_KEYS].starts_with("restrict,pty ssh-ed25519 AAAA"),
            "{}",
            one[AUTHORIZED_KEYS]
        );
        assert!(one[CLIENT_KEY].starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    }

    /// The watchdog's test has the same keys and the same mark.
    #[test]
    fn the_mark_of_keys_is_the_watchdogs() {
        let key = |seed| PrivateKey::from(Ed25519Keypair::from_seed(&[seed; SEED_BYTES]));
        let (client, server) = (key(1), key(2));
        let private = |key: &PrivateKey| key.to_openssh(LineEnding::LF).unwrap().to_string();
        let data = [
            (CLIENT_KEY, private(&client)),
            (AUTHORIZED_KEYS, format!("{OPTIONS} {}\n", public(&client).unwrap())),
            (HOST_KEY, private(&server)),
            (KNOWN_HOSTS, format!("{} {}\n", host_pattern(HOST), public(&server).unwrap())),
        ];
        let data = data.map(|(name, text)| (name.to_owned(), text)).into();
        assert_eq!(mark(&data, HOST).as_deref(), Some("d341678c75"));
    }

    #[test]
    fn what_is_not_of_one_making_is_none() {
        let (whole, other) = (make(HOST).unwrap(), make(HOST).unwrap());
        for name in [CLIENT_KEY, AUTHORIZED_KEYS, HOST_KEY, KNOWN_HOSTS] {
            let mut without = whole.clone();
            without.remove(name);
            assert_eq!(mark(&without, HOST), None, "without {name}");
            let mut mixed = whole.clone();
            mixed.insert(name.into(), other[name].clone());
            assert_eq!(mark(&mixed, HOST), None, "with another {name}");
        }
        assert_eq!(mark(&whole, "other.team.svc"), None);
        let mut open = whole.clone();
        open.insert(AUTHORIZED_KEYS.into(), whole[AUTHORIZED_KEYS].replace(OPTIONS, "agent-forwarding"));
        assert_eq!(mark(&open, HOST), None, "with other rights");
    }
}
