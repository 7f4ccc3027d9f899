//! Alerting stage, pure: by what a receiver knows that a message is genuine and not an old one.

use ring::hmac;

use crate::secret::Secret;

/// Name of the header with the signature.
pub const SIGNATURE_HEADER: &str = "x-kr8tiv-signature";
/// Name of the header with the time at which it was signed.
pub const TIMESTAMP_HEADER: &str = "x-kr8tiv-timestamp";

/// The value of the header: HMAC-SHA256 over the timestamp (seconds since 1970), a dot, and the body.
pub fn signature(key: &Secret, timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{timestamp}.").as_bytes());
    context.update(body);
    let digits: String = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf '%s' '1700000000.{}' | openssl dgst -sha256 -hmac key` says.
    #[test]
    fn it_is_the_usual_hmac() {
        let signature = signature(&Secret::new("key".into()), 1_700_000_000, b"{}");
        assert_eq!(signature, "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae");
    }
}
