//! Decision stage, pure: which certificate is served, what is published, and when a new one is due. No I/O, no clock; only
//! [`make`] draws keys.
//!
//! Each serving certificate has an authority of its own, whose key is thrown away once it has signed: nothing can be
//! signed by what is stored. A rotation is three steps that any replica may take, in an order in which whoever connects
//! always knows the authority of what it is shown: a new pair is stored; the authorities of both are published; after
//! a while the new one is served. What is stored is published, whatever the time: replicas whose clocks differ agree on
//! it. An old authority goes when a pair is stored after its certificate has expired.

use std::fmt;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Clocks of other machines may be behind by this much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// API servers learn of what is published within a second or two.
const LONGEST_SETTLING: SignedDuration = SignedDuration::from_mins(1);
/// The plan is looked at at least this often.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);
const SHORTEST_WAIT: SignedDuration = SignedDuration::from_secs(1);
/// Pairs that are kept: the one that is served, the next one, and one to spare.
const KEPT: usize = 3;

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The library refuses.
    #[error("a certificate can't be made: {0}")]
    Library(#[from] rcgen::Error),
    /// The lifetime reaches beyond what times can say.
    #[error("a certificate can't be made: its lifetime is too long")]
    Lifetime,
}

/// How certificates are to be.
#[derive(Clone, Debug)]
pub struct Policy {
    /// DNS names and addresses under which the webhook is reached.
    pub names: Vec<String>,
    /// How long a certificate is good for.
    pub lifetime: SignedDuration,
}

/// A serving certificate and its authority.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pair {
    /// Names in the certificate.
    pub names: Vec<String>,
    /// When it was made.
    pub made: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// The authority's certificate, in PEM.
    pub authority: String,
    /// The serving certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
}

impl fmt::Debug for Pair {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("made", &self.made)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn lifetime(&self) -> SignedDuration {
        self.expires.duration_since(self.made)
    }

    /// At two thirds of its life: a third is left to notice that it was not replaced.
    fn due(&self) -> Timestamp {
        self.made.saturating_add(self.lifetime() * 2 / 3).unwrap_or(self.expires)
    }

    /// From when on API servers know of its authority if it was published when it was made.
    fn settled(&self) -> Timestamp {
        let settling = (self.lifetime() / 10).min(LONGEST_SETTLING);
        self.made.saturating_add(settling).unwrap_or(self.expires)
    }
}

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
pub struct Plan<'a> {
    /// Whether a new pair is to be made and stored.
    pub make: bool,
    /// What is served.
    pub serve: Option<&'a Pair>,
    /// What is to be published: the authorities of what is stored, in PEM.
    pub bundle: String,
    /// When to look again.
    pub wait: SignedDuration,
}

/// Decides by what is stored, the oldest first, and by what is published.
pub fn plan<'a>(stored: &'a [Pair], published: &str, policy: &Policy, now: Timestamp) -> Plan<'a> {
    let good: Vec<_> = stored.iter().filter(|pair| pair.expires > now).collect();
    let mut usable = good.iter().copied().filter(|pair| pair.names == policy.names);
    let newest = usable.clone().next_back();
    let is_known = |pair: &&&Pair| pair.settled() <= now && published.contains(pair.authority.trim());
    let serve = usable.clone().rev().find(|pair| is_known(&pair)).or_else(|| usable.next());
    let soon = good.iter().flat_map(|pair| [pair.due(), pair.settled(), pair.expires]);
    let next = soon.filter(|time| *time > now).min();
    let wait = next.map_or(LONGEST_WAIT, |time| time.duration_since(now));
    Plan {
        make: newest.is_none_or(|pair| pair.due() <= now),
        serve,
        bundle: stored.iter().map(|pair| pair.authority.as_str()).collect(),
        wait: wait.clamp(SHORTEST_WAIT, LONGEST_WAIT),
    }
}

/// What is stored with one more.
pub fn with(stored: &[Pair], new: Pair, now: Timestamp) -> Vec<Pair> {
    let mut pairs: Vec<_> = stored.iter().filter(|pair| pair.expires > now).cloned().collect();
    pairs.push(new);
    pairs.drain(..pairs.len().saturating_sub(KEPT));
    pairs
}

/// Makes a pair.
pub fn make(policy: &Policy, now: Timestamp) -> Result<Pair, Error> {
    let expires = now.checked_add(policy.lifetime).map_err(|_| Error::Lifetime)?;
    let begins = now.checked_sub(SKEW).map_err(|_| Error::Lifetime)?;
    let dated = |names: &[String], common: &str| {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_before = moment(begins)?;
        params.not_after = moment(expires)?;
        Ok::<_, Error>(params)
    };
    // Its own name, so that two authorities of one bundle can be told apart.
    let mut params = dated(&[], &format!("kr8tiv webhook {}", now.as_second()))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(params, authority_key);
    let mut params = dated(&policy.names, "kr8tiv webhook")?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?.pem();
    let names = policy.names.clone();
    Ok(Pair { names, made: now, expires, authority, certificate, key: key.serialize_pem() })
}

fn moment(time: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| Error::Lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Served;

    const HOUR: i64 = 3_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn policy() -> Policy {
        Policy { names: vec!["webhook.system.svc".into()], lifetime: SignedDuration::from_hours(30) }
    }

    /// A pair without contents.
    fn pair(made: i64, authority: &str) -> Pair {
        Pair {
            names: policy().names,
            made: at(made),
            expires: at(made + 30 * HOUR),
            authority: format!("{authority}\n"),
            certificate: String::new(),
            key: String::new(),
        }
    }

    fn authority<'a>(plan: &Plan<'a>) -> Option<&'a str> {
        plan.serve.map(|pair| pair.authority.trim())
    }

    #[test]
    fn the_first_one_is_made_and_served_at_once() {
        let first = plan(&[], "", &policy(), at(0));
        assert_eq!((first.make, first.serve, first.bundle.as_str()), (true, None, ""));
        let stored = [pair(0, "a")];
        let next = plan(&stored, "", &policy(), at(0));
        assert_eq!((next.make, authority(&next), next.bundle.as_str()), (false, Some("a"), "a\n"));
        assert_eq!(next.wait, LONGEST_SETTLING);
    }

    #[test]
    fn a_rotation_never_shows_what_is_not_known() {
        let (old, new) = (pair(0, "a"), pair(20 * HOUR, "b"));
        let due = plan(std::slice::from_ref(&old), "a\n", &policy(), at(20 * HOUR));
        assert_eq!((due.make, authority(&due)), (true, Some("a")));
        let before = plan(std::slice::from_ref(&old), "a\n", &policy(), at(20 * HOUR - 1));
        assert_eq!((before.make, before.wait), (false, SignedDuration::from_secs(1)));
        let stored = with(&[old], new, at(20 * HOUR));
        // Not published, published and not settled, settled and not published, both.
        for (published, second, served) in
            [("a\n", 0, "a"), ("a\nb\n", 59, "a"), ("a\n", 60, "a"), ("a\nb\n", 60, "b")]
        {
            let plan = plan(&stored, published, &policy(), at(20 * HOUR + second));
            assert_eq!((plan.make, authority(&plan)), (false, Some(served)), "{published:?} {second}");
            assert_eq!(plan.bundle, "a\nb\n", "both are known");
        }
        let next = with(&stored, pair(40 * HOUR, "c"), at(40 * HOUR));
        assert_eq!(plan(&next, "a\nb\n", &policy(), at(40 * HOUR)).bundle, "b\nc\n", "the first has expired");
    }

    #[test]
    fn two_clocks_agree_on_what_is_published() {
        let stored = [pair(0, "a"), pair(20 * HOUR, "b")];
        let [slow, fast] =
            [30 * HOUR - 60, 30 * HOUR + 60].map(|second| plan(&stored, "a\nb\n", &policy(), at(second)));
        assert_eq!(slow.bundle, fast.bundle, "one would publish what the other takes back");
        assert_eq!((authority(&slow), authority(&fast)), (Some("b"), Some("b")));
    }

    #[test]
    fn other_names_want_another_certificate() {
        let renamed = Policy { names: vec!["127.0.0.1".into()], ..policy() };
        let mut stored = vec![pair(0, "a")];
        let needed = plan(&stored, "a\n", &renamed, at(HOUR));
        assert_eq!((needed.make, needed.serve), (true, None));
        stored.push(Pair { names: renamed.names.clone(), ..pair(HOUR, "b") });
        assert_eq!(authority(&plan(&stored, "a\n", &renamed, at(HOUR))), Some("b"), "there is no other");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let stored: Vec<_> = (0..5).map(|hour| pair(hour * HOUR, "a")).collect();
        let kept = with(&stored, pair(6 * HOUR, "b"), at(6 * HOUR));
        assert_eq!((kept.len(), kept[KEPT - 1].authority.as_str()), (KEPT, "b\n"));
    }

    #[test]
    fn what_is_made_can_be_served_and_shows_no_key() {
        let pair = make(&policy(), at(1_800_000_000)).unwrap();
        Served::default().serve(&pair.certificate, &pair.key).unwrap();
        assert!(pair.key.contains("PRIVATE KEY") && !format!("{pair:?}").contains("PRIVATE"));
        let stored = serde_json::to_string(&[&pair]).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Pair>>(&stored).unwrap(), [pair]);
    }
}
