//! Pure but for its key: who may see `/status`.

use std::fmt;

use ring::hmac;
use ring::rand::SystemRandom;

use crate::secret::Secret;

/// How a bearer token is written.
const SCHEME: &[u8] = b"Bearer ";

/// Lets in who knows the token, or everybody when there is none.
pub struct Guard(Option<Lock>);

struct Lock {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").field("open", &self.0.is_none()).finish()
    }
}

impl Guard {
    /// For a token. It is not kept: what is kept is its HMAC under a key that is drawn here.
    pub fn new(token: Option<Secret>) -> Self {
        Self(token.map(|token| {
            // Without randomness the key is known, and the comparison takes as long as any.
            let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .unwrap_or_else(|_| hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]));
            let tag = hmac::sign(&key, token.expose().as_bytes());
            Lock { key, tag }
        }))
    }

    /// Whether a request with this `Authorization` is let in. HMACs are compared and not tokens, so how long it takes
    /// says nothing about the token, not even its length.
    pub fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let Some(Lock { key, tag }) = &self.0 else { return true };
        let Some((scheme, token)) = authorization.and_then(|value| value.split_at_checked(SCHEME.len()))
        else {
            return false;
        };
        scheme.eq_ignore_ascii_case(SCHEME) && hmac::verify(key, token, tag.as_ref()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let guard = Guard::new(Some(Secret::new("canary".into())));
        assert!(!format!("{guard:?}").contains("canary"));
        assert!(guard.admits(Some(b"Bearer canary")) && guard.admits(Some(b"bearer canary")));
        for no in [
            "",
            "canary",
            "Bearer",
            "Bearer ",
            "Bearer canar",
            "Bearer canary ",
            "Basic canary",
            "Bearer Canary",
        ] {
            assert!(!guard.admits(Some(no.as_bytes())), "{no}");
        }
        assert!(!guard.admits(None));
        assert!(Guard::new(None).admits(None));
    }
}
