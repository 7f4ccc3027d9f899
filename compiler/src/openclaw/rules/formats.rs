//! The notations of single values that OpenClaw reads with code of its own. Pure.

use std::net::IpAddr;

/// The milliseconds of a duration such as `500ms`, `30m` or `1h30m`; a bare number counts them itself.
pub(super) fn duration(text: &str) -> Option<f64> {
    const UNITS: &[(&str, f64)] =
        &[("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];
    let amounts = amounts(text, UNITS)?;
    let is_notation = amounts.len() == 1 || amounts.iter().all(|(_, unit)| unit.is_some());
    is_notation.then(|| amounts.iter().map(|(amount, unit)| amount * unit.unwrap_or(1.0)).sum())
}

/// Whether a text is a duration.
pub(super) fn is_duration(text: &str) -> bool {
    duration(text).is_some()
}

/// A size such as `512kb`, `10mb` or a bare number of bytes.
pub(super) fn is_size(text: &str) -> bool {
    const UNITS: &[(&str, f64)] = &[
        ("b", 1.0),
        ("k", 1024.0),
        ("kb", 1024.0),
        ("m", 1_048_576.0),
        ("mb", 1_048_576.0),
        ("g", 1_073_741_824.0),
        ("gb", 1_073_741_824.0),
        ("t", 1_099_511_627_776.0),
        ("tb", 1_099_511_627_776.0),
    ];
    amounts(text, UNITS).is_some_and(|amounts| amounts.len() == 1)
}

/// The amounts that a text consists of, each with the size of its unit; `None` when it holds anything else.
fn amounts(text: &str, units: &[(&str, f64)]) -> Option<Vec<(f64, Option<f64>)>> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.starts_with('.') || number.ends_with('.') {
            return None;
        }
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        let unit = units.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name)).map(|(_, size)| *size);
        if unit.is_none() && !name.is_empty() {
            return None;
        }
        found.push((number.parse().ok()?, unit));
        rest = after;
    }
    (!found.is_empty()).then_some(found)
}

/// A time of the day, `HH:MM`; at the end of a range also `24:00`.
pub(super) fn is_time(text: &str, may_end: bool) -> bool {
    let Some((hour, minute)) = text.split_once(':') else { return false };
    let two_digits = |part: &str| {
        (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u8>().ok())?
    };
    match (two_digits(hour), two_digits(minute)) {
        (Some(24), Some(0)) => may_end,
        (Some(hour), Some(minute)) => hour < 24 && minute < 60,
        _ => false,
    }
}

/// An address, or a range of addresses such as `10.0.0.0/8`.
pub(super) fn is_address_range(text: &str) -> bool {
    let (address, length) = text.trim().split_once('/').unwrap_or((text.trim(), "0"));
    let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u8>()) else { return false };
    length <= if address.is_ipv4() { 32 } else { 128 }
}

/// The host of an `http://` or `https://` URL, without its port.
pub(super) fn http_host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.trim().split_once("://")?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if host.starts_with('[') {
        host.split_inclusive(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    (!host.is_empty()).then_some(host)
}

/// A URL of nothing but scheme, host and port.
pub(super) fn is_http_origin(url: &str) -> bool {
    let rest = url.trim().split_once("://").map_or("", |(_, rest)| rest);
    http_host(url).is_some() && !rest.trim_end_matches('/').contains(['/', '?', '#', '@'])
}

/// Whether a URL is encrypted, or leads nowhere but to the machine itself.
pub(super) fn is_secure_url(url: &str) -> bool {
    let encrypted = url.trim().to_ascii_lowercase().starts_with("https://");
    http_host(url).is_some_and(|host| encrypted || ["localhost", "127.0.0.1", "[::1]"].contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(judge: impl Fn(&str) -> bool, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!(judge(text), "{text}");
        }
        for text in wrong {
            assert!(!judge(text), "{text}");
        }
    }

    #[test]
    fn notations() {
        all(
            is_duration,
            &["0m", "30", "1.5h", "1h30m", "500MS", " 5m "],
            &["", " ", "often", "m", "1h30", "1w", "-5m", "1 h", "1..5m"],
        );
        for (text, milliseconds) in [("1", 1.0), ("0m", 0.0), ("1.5s", 1500.0), ("1h30m", 5_400_000.0)] {
            assert_eq!(duration(text), Some(milliseconds), "{text}");
        }
        all(is_size, &["10mb", "1.5GB", "500", "2k"], &["", "big", "10mib", "1gb5mb", "-1"]);
        all(|text| is_time(text, false), &["00:00", "23:59"], &["24:00", "9:00", "09:60", "0900", "aa:bb"]);
        all(|text| is_time(text, true), &["24:00"], &["24:01"]);
        all(
            is_address_range,
            &["10.0.0.0/8", "192.168.1.1", "::1", "fd00::/8"],
            &["", "10.0.0/8", "10.0.0.0/33", "host", "10.0.0.0/"],
        );
        all(
            is_secure_url,
            &["https://a.example/x", "http://127.0.0.1:8080", "http://[::1]:1/x"],
            &["http://a.example", "ftp://a.example", "https://", "a.example"],
        );
        all(
            is_http_origin,
            &["https://a.example", "https://a.example:8443/"],
            &["https://a.example/x", "https://u@a.example", "https://a.example?q"],
        );
    }
}
