//! The API key. Pure.

use http::HeaderValue;

/// An API key. It has neither `Debug` nor `Display`, and the header that it becomes is marked as sensitive: it can't
/// get into a log or an error by accident.
#[derive(Clone, Eq, PartialEq)]
pub struct ApiKey(HeaderValue);

/// What can't be an API key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidKey {
    /// Nothing but white space.
    #[error("the key is empty")]
    Empty,
    /// Something that no HTTP header can hold.
    #[error("the key has characters that no API key has")]
    Characters,
}

impl ApiKey {
    /// Takes a key as it is in a Secret. White space around it does not count: files end with a line feed.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidKey::Characters);
        }
        let mut value =
            HeaderValue::from_bytes(&[b"Bearer ", text].concat()).map_err(|_| InvalidKey::Characters)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of the header `authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_and_shows_nowhere() {
        let key = ApiKey::new(b" sm_abc\n").ok().unwrap();
        assert_eq!(key.header().as_bytes(), b"Bearer sm_abc");
        assert_eq!(format!("{:?}", key.header()), "Sensitive");
        assert_eq!(ApiKey::new(b" \n").err(), Some(InvalidKey::Empty));
        for bad in [&b"a b"[..], b"a\nb", b"\xff", "ä".as_bytes()] {
            assert_eq!(ApiKey::new(bad).err(), Some(InvalidKey::Characters));
        }
    }
}
