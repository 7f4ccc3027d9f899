//! Hashes of canonical bytes. Pure.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of a value's JSON with sorted keys: `serde_json::Value` keeps its maps sorted.
pub(crate) fn canonical<T: Serialize>(value: &T) -> String {
    // Our own types and those of Kubernetes have string keys and no failing `Serialize`; if one had, its error
    // text would still make a hash that differs from every other.
    match serde_json::to_value(value) {
        Ok(value) => hex(value.to_string().as_bytes()),
        Err(error) => hex(error.to_string().as_bytes()),
    }
}
