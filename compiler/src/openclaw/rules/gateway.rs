//! The gateway itself: who may connect to it and how. Most of this OpenClaw finds only when it starts. Pure.

use super::formats::{is_address_range, is_http_origin, is_secure_url};
use crate::openclaw::GATEWAY_PORT;
use crate::openclaw::violation::{Place, Violation};

pub(super) fn check(root: &Place<'_>, found: &mut Vec<Violation>) {
    let gateway = root.child("gateway");
    if gateway.child("mode").text() != Some("local") {
        found
            .push(gateway.child("mode").violation("must be \"local\": OpenClaw starts no gateway otherwise"));
    }
    listener(&gateway, found);
    authentication(&gateway, found);
    addresses(&gateway, found);
    tailscale(&gateway, found);
    roles(&gateway.child("roles"), found);
    portals(&gateway, found);
    certificates(&gateway.child("tls"), found);
    let origin = gateway.child("publicOrigin");
    if origin.text().is_some_and(|url| !is_http_origin(url) || !is_secure_url(url)) {
        found.push(
            origin.violation("must be an https origin without a path, such as https://agents.example.com"),
        );
    }
    let headers = gateway.at("remote.edgeAuth");
    if headers.is_set() && headers.entries().is_empty() {
        found.push(headers.violation("must not be empty"));
    }
    hooks(&root.child("hooks"), found);
}

/// Whether others than the machine itself can connect.
fn is_open(gateway: &Place<'_>) -> bool {
    match gateway.child("bind").text() {
        Some("lan" | "auto" | "tailnet") => true,
        Some("custom") => {
            gateway.child("customBindHost").text().is_some_and(|host| !host.trim().starts_with("127."))
        }
        _ => false,
    }
}

fn listener(gateway: &Place<'_>, found: &mut Vec<Violation>) {
    let host = gateway.child("customBindHost");
    let address = host.word().and_then(|host| host.parse::<std::net::Ipv4Addr>().ok());
    if gateway.child("bind").text() == Some("custom") && address.is_none() {
        found.push(host.violation("must be an IPv4 address when bind is custom"));
    }
    let ui = gateway.child("controlUi");
    let origins = ui.child("allowedOrigins").items();
    if is_open(gateway)
        && !ui.child("enabled").is_false()
        && !ui.child("dangerouslyAllowHostHeaderOriginFallback").is_true()
        && !origins.iter().any(|origin| origin.word().is_some())
    {
        found.push(ui.child("allowedOrigins").violation(
            "must name the origins of the Control UI when others can connect: OpenClaw does not start otherwise",
        ));
    }
}

fn authentication(gateway: &Place<'_>, found: &mut Vec<Violation>) {
    let auth = gateway.child("auth");
    let (token, password) = (auth.child("token"), auth.child("password"));
    let has_trusted = gateway.child("trustedProxies").has_items();
    match auth.child("mode").text() {
        Some("token") if !token.is_set() => {
            found.push(
                token.violation(
                    "is missing: with none in the environment either, the gateway makes up a token",
                ),
            );
        }
        Some("password") if !password.is_set() => found.push(password.violation("is missing")),
        Some("trusted-proxy") if !has_trusted => found.push(
            gateway
                .child("trustedProxies")
                .violation("must name the proxy's addresses when auth.mode is trusted-proxy"),
        ),
        Some("trusted-proxy") if !auth.child("trustedProxy").is_set() => {
            found.push(auth.child("trustedProxy").violation("is missing"));
        }
        Some("none") if is_open(gateway) => found.push(
            auth.child("mode").violation("can't be none when others can connect: OpenClaw does not start"),
        ),
        None if token.is_set() && password.is_set() => {
            found.push(auth.child("mode").violation("must say which of token and password counts"));
        }
        None if is_open(gateway) && !token.is_set() && !password.is_set() => {
            found.push(auth.violation("must be set when others can connect"));
        }
        _ => {}
    }
    if token.text().is_some_and(|text| text.contains("${")) {
        found.push(token.violation(
            "must be a reference {source, provider, id}: with a variable that is not set, the gateway makes up a token",
        ));
    }
}

fn addresses(gateway: &Place<'_>, found: &mut Vec<Violation>) {
    for path in ["trustedProxies", "nodes.pairing.autoApproveCidrs"] {
        for range in gateway.at(path).items() {
            if range.text().is_some_and(|text| !is_address_range(text)) {
                found.push(range.violation("must be an address or a range of addresses such as 10.0.0.0/8"));
            }
        }
    }
}

fn tailscale(gateway: &Place<'_>, found: &mut Vec<Violation>) {
    let Some(mode @ ("serve" | "funnel")) = gateway.at("tailscale.mode").text() else { return };
    if is_open(gateway) {
        found
            .push(gateway.child("bind").violation(format!("must be loopback when tailscale.mode is {mode}")));
    }
    let auth = gateway.at("auth.mode");
    if auth.text() == Some("none") || (mode == "funnel" && auth.text() != Some("password")) {
        let wanted = if mode == "funnel" { "password" } else { "token, password or trusted-proxy" };
        found.push(auth.violation(format!("must be {wanted} when tailscale.mode is {mode}")));
    }
}

fn roles(roles: &Place<'_>, found: &mut Vec<Violation>) {
    let definitions = roles.child("definitions");
    let default = roles.child("default");
    if roles.is_set() && definitions.entries().is_empty() {
        found.push(definitions.violation("must define at least one role"));
    } else if default.text().is_some_and(|name| !definitions.child(name).is_set()) {
        found.push(default.violation("is none of the roles in gateway.roles.definitions"));
    }
}

fn portals(gateway: &Place<'_>, found: &mut Vec<Violation>) {
    let ingress = gateway.at("portals.ingress");
    let domain = ingress.child("domain");
    if let Some(name) = domain.text()
        && !is_domain(name)
    {
        found.push(domain.violation("must be a bare DNS domain such as portals.example.com"));
    }
    let port = ingress.child("port");
    let own = gateway.child("port").value.and_then(serde_json::Value::as_i64).unwrap_or(GATEWAY_PORT.into());
    if port.value.and_then(serde_json::Value::as_i64) == Some(own) {
        found.push(port.violation("must differ from gateway.port"));
    }
    let origins = gateway.at("controlUi.allowedOrigins").items();
    let taken = |origin: &Place<'_>| {
        let host = origin.text().and_then(super::formats::http_host).unwrap_or_default().to_ascii_lowercase();
        domain.text().is_some_and(|name| {
            let name = name.to_ascii_lowercase();
            host == name || host.ends_with(&format!(".{name}"))
        })
    };
    if std::iter::once(&gateway.child("publicOrigin")).chain(&origins).any(taken) {
        found.push(domain.violation("must be another domain than that of the gateway and its Control UI"));
    }
}

fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
        label.len() <= 63
            && label.starts_with(is_alphanumeric)
            && label.ends_with(is_alphanumeric)
            && label.chars().all(|c| is_alphanumeric(c) || c == '-')
    };
    name.len() <= 220
        && name.contains('.')
        && name.parse::<std::net::IpAddr>().is_err()
        && name.split('.').all(label)
}

fn certificates(tls: &Place<'_>, found: &mut Vec<Violation>) {
    for name in ["certPath", "keyPath"] {
        let path = tls.child(name);
        if path.text().is_some_and(|text| text.trim().is_empty()) {
            found.push(path.violation("must not be empty"));
        }
    }
}

fn hooks(hooks: &Place<'_>, found: &mut Vec<Violation>) {
    if hooks.child("enabled").is_true() {
        if hooks.child("token").word().is_none() {
            found.push(
                hooks
                    .child("token")
                    .violation("is missing: OpenClaw does not start with hooks and without it"),
            );
        }
        let path = hooks.child("path");
        if path.text().is_some_and(|text| !text.is_empty() && text.trim_matches(['/', ' ']).is_empty()) {
            found.push(path.violation("must not be the root"));
        }
    }
    for mapping in hooks.child("mappings").items() {
        let is_agent = mapping.child("action").text().unwrap_or("agent") == "agent";
        if is_agent
            && mapping.child("sessionMode").text() == Some("persistent")
            && mapping.child("sessionKey").word().is_none()
            && hooks.child("defaultSessionKey").word().is_none()
            && !mapping.child("transform").is_set()
        {
            found.push(mapping.child("sessionKey").violation("is missing for a session that persists"));
        }
        let module = mapping.at("transform.module");
        if module.text().is_some_and(|path| !is_module_path(path.trim())) {
            found.push(module.violation("must be a relative path that stays in its folder"));
        }
    }
}

fn is_module_path(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with(['/', '~'])
        && !path.contains(':')
        && !path.split(['/', '\\']).any(|part| part == "..")
}
