//! What secrets look like in a text. Pure.

use std::iter;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

/// What keys and tokens of well-known services look like. Each has a mark that ordinary text does not have.
const SECRETS: [(&str, &str); 9] = [
    (r"\bsk-[A-Za-z0-9_-]{20,}", "an API key of a model provider"),
    (r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}", "a Slack token"),
    (r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}", "a GitHub token"),
    (r"\bAKIA[A-Z0-9]{16}\b", "an AWS access key"),
    (r"\bAIza[A-Za-z0-9_-]{35}", "a Google API key"),
    (r"\bhf_[A-Za-z0-9]{30,}", "a Hugging Face token"),
    (r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b", "a Telegram bot token"),
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    (r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "a signed token (JWT)"),
];

/// A private key with its body, or as much of it as there is.
const PRIVATE_KEY: &str = concat!(
    r"()(-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    r"|[A-Za-z0-9+/=\s]*-----END [A-Z ]*PRIVATE KEY-----)",
);
/// The word before a secret, and the end of a quotation that it may stand in.
const WORD: &str = r#"(?:token|secret|password|passwd|(?:api|access|private|signing)[_-]?key|signature|credentials?)[\\"']*\s*"#;
/// What stands between the word and a secret, and the secret: a text in JSON, the same in a text of JSON, a text in
/// single quotes, a word of a shell or of a URL; and behind a colon, where prose may go on, a word with a digit.
const VALUES: [(&str, &str); 5] = [
    (r#"[=:]\s*""#, r#"(?:[^"\\]|\\.)+"#),
    (r#"[=:]\s*\\+""#, r#"(?:[^"\\]|\\\\\\?.)+"#),
    (r"[=:]\s*'", r"(?:[^'\\]|\\.|'')+"),
    (r"=\s*", r#"[^\s"',;&]+"#),
    (r":\s*", r#"[^\s"',;&]*[0-9][^\s"',;&]*"#),
];
/// Who somebody is in a URL, and by what password. An apostrophe may be of either; where the text around the URL goes on
/// behind it, it ends the quotation that the URL stands in.
const LOGIN: &str = r#"(://)((?:[^\s/@?#"']|'+[^\s/@?#"',:;)}\]])+'*@)"#;
/// What may be a secret by the word before it, which stays, or by its place. Where a program's own words are shown, one
/// word too few does no harm, so these may mean ordinary text too. Each has two groups: what stays, what does not.
const SUSPECTS: [&str; 4] = [
    r"(?i)(\b(?:bearer|basic)\s+)([^\s,;]+)",
    r"(?i)([?&]key=)([^\s&]+)",
    r"()(\b(?:sk|pk|rk)-[\w-]{8,})",
    r"()([0-9]{5,}:[\w-]{20,})",
];
/// A run of characters in which random bytes are written.
const RUN: &str = "[A-Za-z0-9+/_=-]{24,}";
/// Stands for what was taken out.
const REDACTED: &str = "[redacted]";

/// The marks, compiled once. They are constants that a test compiles: they can't fail here.
static MARKS: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(SECRETS.map(|(pattern, _)| pattern)).ok());

/// What means no ordinary text: private keys with their bodies, names and passwords in URLs, and the marks. A known token
/// comes before a part of it is taken for something else.
static CERTAIN: LazyLock<Option<Vec<Regex>>> = LazyLock::new(|| {
    let marks = SECRETS.map(|(pattern, _)| format!("()({pattern})"));
    let all = [PRIVATE_KEY.to_owned(), LOGIN.to_owned()].into_iter().chain(marks);
    all.map(|pattern| Regex::new(&pattern).ok()).collect()
});

/// What may be a secret by what is around it.
static SUSPECTED: LazyLock<Option<Vec<Regex>>> = LazyLock::new(|| {
    let named = VALUES.map(|(between, value)| format!("(?i)({WORD}{between})({value})"));
    named.into_iter().chain(SUSPECTS.map(str::to_owned)).map(|pattern| Regex::new(&pattern).ok()).collect()
});

/// What may be one by itself.
static LONG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(RUN).ok());

/// The kinds of secrets that a text holds.
pub(crate) fn kinds(text: &str) -> impl Iterator<Item = &'static str> {
    MARKS.as_ref().map(|marks| marks.matches(text)).into_iter().flatten().map(|mark| SECRETS[mark].1)
}

/// A text without the keys and tokens of well-known services and without passwords in URLs; `None` when it has none. For
/// texts that repeat what somebody has written.
pub fn without_keys(text: &str) -> Option<String> {
    let Some(certain) = CERTAIN.as_ref() else { return Some(REDACTED.to_owned()) };
    certain.iter().any(|pattern| pattern.is_match(text)).then(|| without(certain, text.to_owned()))
}

/// Where a text has them.
pub fn keys_in(text: &str) -> Vec<Range<usize>> {
    let Some(certain) = CERTAIN.as_ref() else { return iter::once(0..text.len()).collect() };
    certain.iter().flat_map(|pattern| pattern.find_iter(text).map(|found| found.range())).collect()
}

/// A program's own words without what looks like a secret: private keys, known tokens, what follows the word for one, and
/// long runs of letters and digits. For texts that were not written to be shown: too much may be taken out. A word
/// without quotes behind a colon, as in `password: hunter`, stays unless it has a digit: most of what stands so is prose.
pub fn redacted(text: &str) -> String {
    let (Some(certain), Some(suspected), Some(long)) = (CERTAIN.as_ref(), SUSPECTED.as_ref(), LONG.as_ref())
    else {
        return REDACTED.to_owned();
    };
    let text = without(suspected, without(certain, text.to_owned()));
    let without_runs = long.replace_all(&text, |found: &Captures<'_>| {
        let run = &found[0];
        if is_random(run) { REDACTED.to_owned() } else { run.to_owned() }
    });
    without_runs.into_owned()
}

/// A text without what the patterns find; of each, the first group stays.
fn without(patterns: &[Regex], text: String) -> String {
    let replace =
        |text: String, pattern: &Regex| pattern.replace_all(&text, format!("${{1}}{REDACTED}")).into_owned();
    patterns.iter().fold(text, replace)
}

/// Whether a run looks like random bytes rather than like a path or like words with hyphens: one of its parts has
/// letters and digits and is long.
fn is_random(run: &str) -> bool {
    let mixed = |part: &str, least: usize| {
        let has = |is: fn(&char) -> bool| part.chars().any(|c| is(&c));
        part.len() >= least && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic)
    };
    let cases = run.chars().any(|c| c.is_ascii_uppercase()) && run.chars().any(|c| c.is_ascii_lowercase());
    run.split('/').any(|part| mixed(part, 24)) || (!run.starts_with('/') && cases && mixed(run, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_and_prose_is_not() {
        let kind = |place: usize| Some(SECRETS[place].1);
        for (text, expected) in [
            ("use sk-ant-api03-abcdefghijklmnopqrst here", kind(0)),
            ("xoxb-1234567890-abc", kind(1)),
            ("1234567890:AAabcdefghijklmnopqrstuvwxyz0123456", kind(6)),
            ("-----BEGIN RSA PRIVATE KEY-----", kind(7)),
            ("ask-me-anything about risk-management-and-insurance", None),
            ("the task-force-for-data-protection meets at 12:30", None),
            ("run git commit and push to github_pages", None),
        ] {
            assert_eq!(kinds(text).next(), expected, "{text}");
        }
    }

    #[test]
    fn keys_in_the_wrong_place_are_found_and_taken_out() {
        for (text, expected) in [
            ("use sk-ant-api03-abcdefghijklmnopqrst here", "use [redacted] here"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.abcdefghijkl", "[redacted]"),
            ("https://robot:hunter2@npm.example.com/a", "https://[redacted]npm.example.com/a"),
            ("'https://o'neil:it''s-me'@npm.example.com/a'", "'https://[redacted]npm.example.com/a'"),
            ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----", "[redacted]"),
        ] {
            assert_eq!(without_keys(text).as_deref(), Some(expected));
            assert!(!keys_in(text).is_empty(), "{text}");
        }
        for text in [
            "https://example.com?mail=x@example.com",
            r#"url: "https://a.b", mail: "x@y""#,
            "url: 'https://a.b', mail: 'x@y'",
            "{'url':'https://a.b','mail':'x@y'}",
            "{'https://a.b':'x@y'}",
            "['https://a.b'],x@y",
            "a@b",
        ] {
            assert_eq!((without_keys(text), keys_in(text)), (None, vec![]), "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        for (text, expected) in [
            ("key sk-short-one1 refused", "key [redacted] refused"),
            ("bot 123456:AAabcdefghijklmnopqrstuvwxyz0123456 is unknown", "bot [redacted] is unknown"),
            (
                "https://api.telegram.org/bot123456789:AAabcdefghijklmnopqrstuvwxyz0123456/getMe",
                "https://api.telegram.org/bot[redacted]/getMe",
            ),
            ("Authorization: Bearer abc.def, then", "Authorization: Bearer [redacted], then"),
            ("authorization: basic dXNlcjpwdw==", "authorization: basic [redacted]"),
            (r#"{"botToken":"hunter2","port":1}"#, r#"{"botToken":"[redacted]","port":1}"#),
            (r#"{\"botToken\":\"hunter2\",\"port\":1}"#, r#"{\"botToken\":\"[redacted]\",\"port\":1}"#),
            (r#"{\\\"secret\\\":\\\"hunter2"#, r#"{\\\"secret\\\":\\\"[redacted]"#),
            (r#"{"password":"correct horse battery"}"#, r#"{"password":"[redacted]"}"#),
            (r#"{"password":"a\"b c","port":1}"#, r#"{"password":"[redacted]","port":1}"#),
            (r#"{\"password\":\"a\\\"b c\",\"port\":1}"#, r#"{\"password\":\"[redacted]\",\"port\":1}"#),
            (r#"{"password":"","port":1}"#, r#"{"password":"","port":1}"#),
            (r#"DB_PASSWORD="a,b&c d" node"#, r#"DB_PASSWORD="[redacted]" node"#),
            (r#"token="Bearer abc def""#, r#"token="[redacted]""#),
            ("{'token': 'it''s me', 'port': 1}", "{'token': '[redacted]', 'port': 1}"),
            ("password: hunter2, user: ada", "password: [redacted], user: ada"),
            ("OPENCLAW_GATEWAY_TOKEN=hunter2 node", "OPENCLAW_GATEWAY_TOKEN=[redacted] node"),
            ("GET https://a.example/x?api_key=hunter2&b=1", "GET https://a.example/x?api_key=[redacted]&b=1"),
            ("GET https://a.example/x?key=hunter2", "GET https://a.example/x?key=[redacted]"),
            ("https://user:hunter2@a.example/", "https://[redacted]a.example/"),
            ("hash 3fc4ccfe745870e23fc4ccfe745870e2", "hash [redacted]"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[redacted]"),
            ("-----BEGIN PRIVATE KEY-----", "[redacted]"),
            (
                "of -----BEGIN EC PRIVATE KEY-----\nabc/def\nab==\n-----END EC PRIVATE KEY----- it is",
                "of [redacted] it is",
            ),
            ("cut off: -----BEGIN PRIVATE KEY----- abc/def ab", "cut off: [redacted]"),
            ("begun before: abc/def ab== -----END PRIVATE KEY-----", "begun before:[redacted]"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn what_a_person_needs_to_know_stays() {
        for text in [
            "gateway.auth.token: Invalid input: expected string, received number",
            "<root>: Unrecognized key: \"unheardOf\"",
            "channels.slack.botToken: Required; agents.defaults.maxTokens: 4096 is too many",
            "/home/node/.openclaw/agents/main/workspace-support/SOUL.md: no space left on device",
            "/app/node_modules/some-package-of-somebody/dist/index2.js:12:34",
            "OPENCLAW_NO_AUTO_UPDATE_AND_MORE_WORDS is not set",
            "2026-11-25T20:06:05.123Z listening on 127.0.0.1:18789",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
