//! Where Supermemory is. Pure.

use http::Uri;

/// A base URL: `https://api.supermemory.ai`, or that of a service of one's own, with a path where it has one. Without
/// credentials, query and fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BaseUrl(String);

/// A text is no base URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is no URL such as https://memory.example.com, without credentials, query and fragment")]
pub struct InvalidBaseUrl;

impl BaseUrl {
    /// Reads a base URL.
    pub fn parse(text: &str) -> Result<Self, InvalidBaseUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidBaseUrl)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        // `Uri` drops a fragment without a word.
        if !is_http || !has_host || text.contains(['@', '?', '#']) {
            return Err(InvalidBaseUrl);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The address of a path, which starts with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_server_and_maybe_a_path() {
        for (text, joined) in [
            ("https://api.supermemory.ai", "https://api.supermemory.ai/v4/search"),
            ("http://memory.acme.svc:8787/", "http://memory.acme.svc:8787/v4/search"),
            ("https://example.com/memory//", "https://example.com/memory/v4/search"),
            ("http://[fd12::1]:80", "http://[fd12::1]:80/v4/search"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().join("/v4/search"), joined);
        }
        for bad in [
            "",
            "api.supermemory.ai",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?b",
            "https://a/#b",
            "https://a b",
            "/v4",
            "https:///x",
        ] {
            assert_eq!(BaseUrl::parse(bad), Err(InvalidBaseUrl), "{bad}");
        }
    }
}
