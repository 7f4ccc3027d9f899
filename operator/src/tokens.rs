//! Observation stage, no I/O: whose channel has which token. Two consumers of one token take each other's messages, so
//! that only the oldest Tenant may have it, whatever the Secrets are called.
//!
//! Tokens are compared by a hash under a key that is drawn at the start and never leaves the process: from what is kept
//! here no token can be told, nor whether it is one that somebody guesses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kr8tiv_compiler::{SecretReference, TokenHolder};
use kr8tiv_crds::Tenant;
use kr8tiv_crds::reference::SecretKeyReference;
use parking_lot::Mutex;
use ring::hmac;

use crate::claims::Claim;
use crate::key::Key;

/// HMAC-SHA-256 of a token.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 32]);

/// Makes fingerprints. Those of two of these can't be compared.
pub struct Fingerprints(hmac::Key);

impl Default for Fingerprints {
    fn default() -> Self {
        // From the operating system's random numbers, by a generator that is made for keys.
        Self(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()))
    }
}

impl Fingerprints {
    /// The fingerprint of a token. White space around it does not count: it is no part of a token.
    pub fn of(&self, token: &[u8]) -> Fingerprint {
        let tag = hmac::sign(&self.0, token.trim_ascii());
        let mut fingerprint = Fingerprint([0; 32]);
        // A tag of SHA-256 has as many bytes.
        fingerprint.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        fingerprint
    }
}

/// A token that a Tenant's channel has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// Path of the field that names it.
    pub field: String,
    /// Where it is.
    pub secret: SecretKeyReference,
    /// What it is.
    pub fingerprint: Fingerprint,
}

/// The tokens by which a Tenant's channels know it, with the fields that name them.
pub fn channel_tokens(tenant: &Tenant) -> Vec<SecretReference> {
    let claims = kr8tiv_compiler::credential_claims(&tenant.spec).into_iter();
    claims.map(|claim| SecretReference { field: claim.field, secret: claim.secret }).collect()
}

/// The tokens of all Tenants. The least claim to a token holds; within a Tenant the first field has it.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tenants: HashMap<Key, Entry>,
    holders: HashMap<Fingerprint, BTreeSet<Rank>>,
    /// Tenants with tokens that have not been read since the start.
    unread: BTreeSet<Rank>,
    /// Tenants that wait for earlier ones to be read.
    waiting: BTreeSet<Rank>,
}

/// The order in which Tenants are served.
type Rank = (Claim, Key);

#[derive(Debug)]
struct Entry {
    claim: Claim,
    held: Vec<Held>,
}

impl Tokens {
    /// A Tenant with tokens exists. Gives the Tenants that this concerns.
    pub fn expect(&self, tenant: &Key, claim: &Claim) -> Vec<Key> {
        let mut state = self.0.lock();
        if state.tenants.get(tenant).is_some_and(|entry| entry.claim == *claim) {
            return Vec::new();
        }
        let wakes = state.remove(tenant);
        state.tenants.insert(tenant.clone(), Entry { claim: claim.clone(), held: Vec::new() });
        state.unread.insert((claim.clone(), tenant.clone()));
        wakes
    }

    /// A Tenant's tokens have been read. Gives the Tenants that this concerns.
    pub fn hold(&self, tenant: &Key, claim: &Claim, held: Vec<Held>) -> Vec<Key> {
        let mut state = self.0.lock();
        let rank = (claim.clone(), tenant.clone());
        let is_known = state.tenants.get(tenant).is_some_and(|entry| entry.held == held);
        if is_known && !state.unread.contains(&rank) {
            return Vec::new();
        }
        let was_expected = state.tenants.contains_key(tenant);
        let mut wakes = state.remove(tenant);
        for token in &held {
            let holders = state.holders.entry(token.fingerprint).or_default();
            wakes.extend(holders.iter().filter(|other| **other > rank).map(|(_, key)| key.clone()));
            holders.insert(rank.clone());
        }
        // Whoever is expected and has none yet stays known: it is not expected anew.
        if was_expected || !held.is_empty() {
            state.tenants.insert(tenant.clone(), Entry { claim: claim.clone(), held });
        }
        wakes
    }

    /// A Tenant's tokens can't be read for now. What it had before stays its own, and nobody waits for it. Gives the
    /// Tenants that this concerns.
    pub fn pass_over(&self, tenant: &Key) -> Vec<Key> {
        let mut state = self.0.lock();
        let Some(claim) = state.tenants.get(tenant).map(|entry| entry.claim.clone()) else {
            return Vec::new();
        };
        state.read(&(claim, tenant.clone()))
    }

    /// A Tenant is gone. Gives the Tenants that this concerns.
    pub fn release(&self, tenant: &Key) -> Vec<Key> {
        self.0.lock().remove(tenant)
    }

    /// Whether an earlier Tenant's tokens have not been read since the start. Then this one must not be served yet: it
    /// may have a token that it had to go without before the start. It is named to whoever changes that.
    pub fn must_wait(&self, tenant: &Key, claim: &Claim) -> bool {
        let mut state = self.0.lock();
        let rank = (claim.clone(), tenant.clone());
        let waits = state.unread.first().is_some_and(|first| *first < rank);
        if waits {
            state.waiting.insert(rank);
        }
        waits
    }

    /// The Tenant's tokens that are somebody else's, or of an earlier field.
    pub fn taken(&self, tenant: &Key) -> BTreeMap<SecretKeyReference, TokenHolder> {
        let state = self.0.lock();
        let held = state.tenants.get(tenant).map_or(&[][..], |entry| &entry.held);
        let taken = held.iter().filter_map(|token| {
            let (_, holder) = state.holders.get(&token.fingerprint)?.first()?;
            let theirs = &state.tenants.get(holder)?.held;
            let first = theirs.iter().find(|other| other.fingerprint == token.fingerprint)?;
            // A Secret that is named twice is named twice in one object: the compiler sees that.
            if holder == tenant && first.secret == token.secret {
                return None;
            }
            let name =
                if holder.namespace == tenant.namespace { holder.name.clone() } else { holder.to_string() };
            Some((token.secret.clone(), TokenHolder { tenant: name, field: first.field.clone() }))
        });
        taken.collect()
    }
}

impl State {
    /// Gives the later Tenants that had a token of this one, and those that need not wait for it any more.
    fn remove(&mut self, tenant: &Key) -> Vec<Key> {
        let Some(Entry { claim, held }) = self.tenants.remove(tenant) else { return Vec::new() };
        let rank = (claim, tenant.clone());
        let mut wakes = Vec::new();
        for token in held {
            let Some(holders) = self.holders.get_mut(&token.fingerprint) else { continue };
            holders.remove(&rank);
            wakes.extend(holders.iter().filter(|other| **other > rank).map(|(_, key)| key.clone()));
            if holders.is_empty() {
                self.holders.remove(&token.fingerprint);
            }
        }
        wakes.extend(self.read(&rank));
        wakes
    }

    /// A Tenant is not waited for any more. Gives the ones that need not wait now.
    fn read(&mut self, rank: &Rank) -> Vec<Key> {
        let mut wakes = Vec::new();
        self.waiting.remove(rank);
        if self.unread.remove(rank) {
            while let Some(first) = self.waiting.first()
                && self.unread.first().is_none_or(|unread| first <= unread)
            {
                wakes.extend(self.waiting.pop_first().map(|(_, key)| key));
            }
        }
        wakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "n".into(), name: name.into() }
    }

    fn claim(second: i64, uid: &str) -> Claim {
        let time = k8s_openapi::jiff::Timestamp::from_second(second).unwrap();
        Claim::of(&kube::core::ObjectMeta {
            creation_timestamp: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time)),
            uid: Some(uid.into()),
            ..Default::default()
        })
    }

    fn held(field: &str, secret: &str, fingerprint: u8) -> Held {
        let secret = SecretKeyReference { name: secret.into(), key: "token".into() };
        Held { field: field.into(), secret, fingerprint: Fingerprint([fingerprint; 32]) }
    }

    /// Names of the Tenants that have the taken tokens.
    fn losses(tokens: &Tokens, tenant: &str) -> Vec<String> {
        tokens
            .taken(&key(tenant))
            .into_values()
            .map(|holder| format!("{}.{}", holder.tenant, holder.field))
            .collect()
    }

    #[test]
    fn a_fingerprint_tells_tokens_apart_and_nothing_else() {
        let (one, other) = (Fingerprints::default(), Fingerprints::default());
        assert_eq!(one.of(b"token"), one.of(b" token\n"));
        assert_ne!(one.of(b"token"), one.of(b"tokem"));
        assert_ne!(one.of(b"token"), other.of(b"token"), "without the key nothing can be compared");
    }

    #[test]
    fn the_oldest_tenant_has_the_token_whenever_it_is_read() {
        let tokens = Tokens::default();
        assert_eq!(tokens.hold(&key("young"), &claim(2, "a"), vec![held("f", "s1", 1)]), []);
        assert_eq!(losses(&tokens, "young"), [""; 0]);
        assert_eq!(tokens.hold(&key("old"), &claim(1, "z"), vec![held("g", "s2", 1)]), [key("young")]);
        assert_eq!((losses(&tokens, "young"), losses(&tokens, "old")), (vec!["old.g".to_owned()], vec![]));
        assert_eq!(
            tokens.hold(&key("twin"), &claim(1, "a"), vec![held("h", "s3", 1)]).len(),
            2,
            "of the same age"
        );
        assert_eq!(losses(&tokens, "old"), ["twin.h"]);
        assert_eq!(tokens.release(&key("twin")).len(), 2);
        assert_eq!(tokens.hold(&key("old"), &claim(1, "z"), vec![held("g", "s2", 9)]), [key("young")]);
        assert_eq!(losses(&tokens, "young"), [""; 0], "another token frees the first");
        assert_eq!(tokens.hold(&key("old"), &claim(1, "z"), vec![held("g", "s2", 9)]), [], "no news");
    }

    #[test]
    fn within_a_tenant_the_first_field_has_the_token() {
        let tokens = Tokens::default();
        tokens.hold(
            &key("t"),
            &claim(1, "a"),
            vec![held("f", "s1", 1), held("g", "s2", 1), held("h", "s1", 1)],
        );
        let taken = tokens.taken(&key("t"));
        let holder = TokenHolder { tenant: "t".into(), field: "f".into() };
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [(held("", "s2", 1).secret, holder)]);
    }

    #[test]
    fn nobody_is_served_before_all_earlier_tenants_have_been_read() {
        let tokens = Tokens::default();
        for (second, name) in [(1, "a"), (2, "b"), (3, "c")] {
            tokens.expect(&key(name), &claim(second, name));
        }
        assert!(!tokens.must_wait(&key("a"), &claim(1, "a")));
        assert!(tokens.must_wait(&key("b"), &claim(2, "b")) && tokens.must_wait(&key("c"), &claim(3, "c")));
        assert_eq!(tokens.hold(&key("b"), &claim(2, "b"), vec![]), [], "it still waits for a");
        assert!(tokens.must_wait(&key("b"), &claim(2, "b")));
        assert_eq!(tokens.hold(&key("a"), &claim(1, "a"), vec![held("f", "s", 1)]), [key("b"), key("c")]);
        assert!(!tokens.must_wait(&key("b"), &claim(2, "b")) && !tokens.must_wait(&key("c"), &claim(3, "c")));
        assert_eq!(tokens.expect(&key("a"), &claim(1, "a")), [], "it is known");
        assert!(!tokens.must_wait(&key("b"), &claim(2, "b")));
    }

    #[test]
    fn nobody_waits_for_one_that_can_not_be_read_and_it_keeps_what_it_had() {
        let tokens = Tokens::default();
        for (second, name) in [(1, "a"), (2, "b")] {
            tokens.expect(&key(name), &claim(second, name));
        }
        assert!(tokens.must_wait(&key("b"), &claim(2, "b")));
        assert_eq!(tokens.pass_over(&key("a")), [key("b")]);
        assert!(!tokens.must_wait(&key("b"), &claim(2, "b")));
        assert_eq!(tokens.pass_over(&key("nobody")), []);
        tokens.hold(&key("a"), &claim(1, "a"), vec![held("f", "s1", 1)]);
        tokens.hold(&key("b"), &claim(2, "b"), vec![held("f", "s2", 1)]);
        tokens.pass_over(&key("a"));
        assert_eq!(losses(&tokens, "b"), ["a.f"]);
    }
}
