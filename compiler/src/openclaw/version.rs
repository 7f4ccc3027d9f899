//! Releases of OpenClaw by whatever name they are given. Pure.

use std::fmt;

/// A release: year, month, and its number in the month.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Release {
    year: u16,
    month: u8,
    number: u16,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.year, self.month, self.number)
    }
}

/// Reads a release from a version or an image's tag: dotted (`2026.9.6`, `v2026.9.6-slim`) or compact, as a date
/// (`20260906`, `stable-20260906`). `None` when it names none, as `latest` does.
pub(crate) fn release(text: &str) -> Option<Release> {
    let known = |year: u16, month: u8, number: u16| {
        ((2020..2100).contains(&year) && (1..=12).contains(&month)).then_some(Release { year, month, number })
    };
    text.split(['-', '+', '_']).find_map(|part| {
        let part = part.strip_prefix('v').unwrap_or(part);
        if let [year, month, number] = part.split('.').collect::<Vec<_>>().as_slice() {
            return known(digits(year)?, digits(month)?, digits(number)?);
        }
        let (year, rest) = part.split_at_checked(4)?;
        let (month, day) = rest.split_at_checked(2)?;
        (day.len() == 2).then(|| known(digits(year)?, digits(month)?, digits(day)?))?
    })
}

/// The tag of an image's reference, without its digest.
pub fn image_tag(reference: &str) -> Option<&str> {
    let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
    // A colon before the last slash belongs to the registry's port.
    let (_, tag) = name.rsplit_once(':')?;
    (!tag.contains('/')).then_some(tag)
}

fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Point 20 of the old system's checklist.
    #[test]
    fn point_20_dotted_and_compact_tags() {
        for (text, expected) in [
            ("2026.9.6", Some("2026.9.6")),
            ("v2026.9.6", Some("2026.9.6")),
            ("2026.09.06", Some("2026.9.6")),
            ("2026.9.6-slim", Some("2026.9.6")),
            ("2026.9.6-r20261001", Some("2026.9.6")),
            ("20260906", Some("2026.9.6")),
            ("stable-20260906", Some("2026.9.6")),
            ("latest", None),
            ("main", None),
            ("2026.13.1", None),
            ("1.2.3", None),
            ("2026.9", None),
            ("+2026.9.6", Some("2026.9.6")),
            ("2026.+9.6", None),
            ("", None),
        ] {
            assert_eq!(release(text).map(|release| release.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn tags_of_images() {
        for (reference, tag) in [
            ("ghcr.io/openclaw/openclaw:2026.9.6", Some("2026.9.6")),
            ("registry:5000/openclaw", None),
            ("registry:5000/openclaw:v1@sha256:00", Some("v1")),
            ("openclaw@sha256:00", None),
        ] {
            assert_eq!(image_tag(reference), tag, "{reference}");
        }
    }
}
