//! Probing stage, pure: the frames of OpenClaw's WebSocket protocol, version 4.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use crate::gateway::rpc::RpcError;
use crate::secret::Secret;

/// The only version that the supported releases speak.
const PROTOCOL: u32 = 4;
/// Codes are words such as `AUTH_TOKEN_MISMATCH`; what is longer is none.
const MAX_CODE: usize = 48;

/// What a frame from the gateway is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first one: it awaits `connect`.
    Challenge,
    /// The answer to the request with this id.
    Response(String),
    /// Something that it announces to everybody.
    Other,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    event: Option<String>,
}

#[derive(Deserialize)]
struct Response<T> {
    ok: bool,
    payload: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<String>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    code: Option<String>,
}

/// What a frame is, without reading what it carries.
pub(super) fn kind(text: &str) -> Result<Kind, RpcError> {
    let Head { kind, id, event } = serde_json::from_str(text).map_err(|_| RpcError::NotUnderstood)?;
    Ok(match (kind.as_str(), id, event.as_deref()) {
        ("event", _, Some("connect.challenge")) => Kind::Challenge,
        ("res", Some(id), _) => Kind::Response(id),
        _ => Kind::Other,
    })
}

/// What an answer carries.
pub(super) fn payload<T: DeserializeOwned>(text: &str) -> Result<T, RpcError> {
    let response: Response<T> = match serde_json::from_str(text) {
        Ok(response) => response,
        // A refusal may carry a payload of another shape.
        Err(_) => match serde_json::from_str::<Response<IgnoredAny>>(text) {
            Ok(Response { ok: false, error, .. }) => return Err(refused(error)),
            _ => return Err(RpcError::NotUnderstood),
        },
    };
    match response {
        Response { ok: true, payload: Some(payload), .. } => Ok(payload),
        Response { ok: true, payload: None, .. } => Err(RpcError::NotUnderstood),
        Response { error, .. } => Err(refused(error)),
    }
}

/// The code of a refusal; its message stays out, as it could quote what was sent.
fn refused(error: Option<Refusal>) -> RpcError {
    let code = error.and_then(|Refusal { code, details }| details.and_then(|details| details.code).or(code));
    let is_word = |code: &String| {
        code.len() <= MAX_CODE && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    RpcError::Refused { code: code.filter(is_word).unwrap_or_else(|| "no code".to_owned()) }
}

/// A request.
pub(super) fn request(id: &str, method: &str, params: &Value) -> String {
    json!({"type": "req", "id": id, "method": method, "params": params}).to_string()
}

/// The parameters of `connect`. Only this client on loopback keeps its scopes without a paired device.
pub(super) fn connect(token: &Secret) -> Value {
    let client = json!({
        "id": "gateway-client", "version": env!("CARGO_PKG_VERSION"), "platform": "linux", "mode": "backend",
    });
    json!({
        "minProtocol": PROTOCOL, "maxProtocol": PROTOCOL, "client": client, "role": "operator",
        "scopes": ["operator.read"], "caps": [], "auth": {"token": token.expose()},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let challenge = r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n"}}"#;
        assert_eq!(kind(challenge).unwrap(), Kind::Challenge);
        assert_eq!(kind(r#"{"type":"event","event":"tick"}"#).unwrap(), Kind::Other);
        assert_eq!(kind(r#"{"type":"res","id":"7","ok":true}"#).unwrap(), Kind::Response("7".into()));
        for text in ["", "[]", "<html>", r#"{"type":1}"#] {
            assert!(matches!(kind(text), Err(RpcError::NotUnderstood)), "{text}");
        }
    }

    #[test]
    fn a_refusal_gives_its_code_and_nothing_else() {
        for (answer, expected) in [
            (
                r#"{"type":"res","ok":false,"error":{"code":"FORBIDDEN","message":"canary"}}"#,
                "the gateway refuses: FORBIDDEN",
            ),
            (
                r#"{"type":"res","ok":false,"error":{"code":"X","details":{"code":"AUTH_TOKEN_MISMATCH"}}}"#,
                "the gateway refuses: AUTH_TOKEN_MISMATCH",
            ),
            (r#"{"type":"res","ok":false,"error":{"code":"canary token"}}"#, "the gateway refuses: no code"),
            (r#"{"type":"res","ok":false,"payload":{"x":1}}"#, "the gateway refuses: no code"),
            (r#"{"type":"res","ok":true,"payload":"canary"}"#, "the gateway's answer is not understood"),
            (r#"{"type":"res","ok":true}"#, "the gateway's answer is not understood"),
        ] {
            assert_eq!(payload::<u64>(answer).unwrap_err().to_string(), expected, "{answer}");
        }
        assert_eq!(payload::<u64>(r#"{"ok":true,"payload":3}"#).unwrap(), 3);
    }
}
