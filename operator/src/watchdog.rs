//! The client of the watchdogs' `/status`. HTTP to the gateways' Pods.

use std::net::IpAddr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kr8tiv_compiler::WATCHDOG_PORT;
use serde::Deserialize;
use tokio::time::timeout;

use crate::delivery::{Answer, Ask, Unreachable};
use crate::health::{self, Health};
use crate::sandbox;
use crate::secrets::StatusToken;
use crate::statuses::now;

/// A watchdog answers from memory; one that takes longer is as good as silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer has a few hundred bytes. A tenant's Pod must not be able to fill the operator's memory.
const ANSWER_LIMIT: usize = 64 * 1024;

/// What a tenant's Pod says ends up in a condition: not more than this of it.
const TROUBLE_LIMIT: usize = 500;

/// Asks watchdogs over HTTP.
pub struct Http(Client<HttpConnector, Empty<Bytes>>);

impl Default for Http {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(PATIENCE));
        // Questions to one Pod are seconds apart and then never again: idle connections would only pile up.
        Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
    }
}

#[derive(Deserialize)]
struct Status {
    delivered: Option<Delivered>,
    pending: Option<Pending>,
    error: Option<String>,
    /// Of a watchdog that watches; an earlier one only delivers.
    gateway: Option<health::Gateway>,
    #[serde(default)]
    drift: Drift,
    #[serde(default)]
    sandboxes: Vec<sandbox::Entry>,
}

#[derive(Default, Deserialize)]
struct Drift {
    #[serde(default)]
    files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    bundle_hash: String,
}

#[derive(Deserialize)]
struct Pending {
    #[serde(default)]
    reasons: Vec<String>,
}

impl Ask for Http {
    fn ask<'a>(
        &'a self,
        ip: &'a str,
        token: Option<&'a StatusToken>,
    ) -> BoxFuture<'a, Result<Answer, Unreachable>> {
        async move {
            let answer = timeout(PATIENCE, self.get(ip, token)).await;
            answer.unwrap_or_else(|_| Err(Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))))
        }
        .boxed()
    }
}

impl Http {
    async fn get(&self, ip: &str, token: Option<&StatusToken>) -> Result<Answer, Unreachable> {
        let failed = |error: &dyn std::fmt::Display| Unreachable(error.to_string());
        let address: IpAddr = ip.parse().map_err(|error| failed(&error))?;
        let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let uri = format!("http://{host}:{WATCHDOG_PORT}/status");
        let mut request = Request::get(uri);
        if let (Some(headers), Some(authorization)) =
            (request.headers_mut(), token.and_then(StatusToken::authorization))
        {
            headers.insert(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| failed(&error))?;
        let response = self.0.request(request).await.map_err(|error| failed(&error))?;
        if !response.status().is_success() {
            return Err(Unreachable(format!("status {}", response.status())));
        }
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        parse(&body.map_err(|error| failed(&error))?.to_bytes())
    }
}

fn parse(body: &[u8]) -> Result<Answer, Unreachable> {
    let status: Status = serde_json::from_slice(body).map_err(|error| Unreachable(error.to_string()))?;
    let reasons =
        status.pending.map(|pending| pending.reasons.join("; ")).filter(|reasons| !reasons.is_empty());
    let (changed, sandboxes) = (status.drift.files, sandbox::probed(status.sandboxes, now().0));
    let trouble = status.error.or(reasons).map(shortened);
    Ok(Answer {
        delivered: status.delivered.map(|delivered| delivered.bundle_hash),
        trouble,
        health: status.gateway.map(|gateway| Health::of(gateway, changed, sandboxes)),
    })
}

fn shortened(mut text: String) -> String {
    if text.len() > TROUBLE_LIMIT {
        text.truncate(text.floor_char_boundary(TROUBLE_LIMIT));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Login;

    #[test]
    fn reads_what_the_watchdog_writes() {
        let body = br#"{"version":"0.1.0","delivered":{"bundleHash":"aa"},"pending":null,"error":null,"drift":{"restoredTotal":0}}"#;
        assert_eq!(parse(body).unwrap(), Answer { delivered: Some("aa".into()), ..Answer::default() });
        let body = br#"{"delivered":null,"pending":{"bundleHash":null,"reasons":["a","b"]},"error":null}"#;
        assert_eq!(parse(body).unwrap(), Answer { trouble: Some("a; b".into()), ..Answer::default() });
        let body = br#"{"delivered":null,"pending":null,"error":"no space left"}"#;
        assert_eq!(
            parse(body).unwrap(),
            Answer { trouble: Some("no space left".into()), ..Answer::default() }
        );
        assert!(parse(b"<html>").is_err());
        let body = br#"{"delivered":null,"pending":null,"error":null,"gateway":{"state":"Alive"},
            "sandboxes":[{"name":"acme-sandbox","reason":"AuthFailed"},{"name":"b","reason":"OfALaterRelease"}]}"#;
        let health = parse(body).unwrap().health.unwrap();
        let found: Vec<_> =
            health.sandboxes.iter().map(|(name, probed)| (name.as_str(), probed.login)).collect();
        assert_eq!(found, [("acme-sandbox", Login::AuthFailed), ("b", Login::Unknown)]);
    }

    #[test]
    fn a_long_story_is_cut() {
        let cut = shortened("ä".repeat(TROUBLE_LIMIT));
        assert!(cut.len() <= TROUBLE_LIMIT + '…'.len_utf8());
    }
}
