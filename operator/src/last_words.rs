//! Observation stage, pure: what a container said last before it ended, for a condition.
//!
//! kubelet gives the end of its log when it left no message of its own. It was not written to be shown: it is cut, what
//! looks like a secret is taken out, and so are times, which would make every end another one.

use serde_json::Value;

/// Lines that are kept where none is marked as an error.
const LINES: usize = 3;
/// Characters that are kept.
const TEXT: usize = 400;
/// Bytes of a log's end that kubelet takes at most.
const LOG_END: usize = 2048;
/// Bytes of all messages of a Pod that kubelet keeps at most; each container has an equal share.
const OF_A_POD: usize = 12_288;
/// So does OpenClaw's advice begin, to repair a configuration that is not its to change here.
const ADVICE: &str = "Run \"openclaw ";

/// A line of a log.
struct Line {
    is_error: bool,
    text: String,
}

/// Bytes that kubelet gives at most of one container's message, in a Pod with so many of them.
pub fn message_limit(containers: usize) -> usize {
    (OF_A_POD / containers.max(1)).min(LOG_END)
}

/// The last error in a termination message, else its last lines, in one line; `None` when there is nothing in it. `limit`
/// is [`message_limit`].
pub fn last_words(message: &str, limit: usize) -> Option<String> {
    let whole = if message.len() < limit { message } else { whole_lines(message, limit) };
    let lines: Vec<Line> = whole.lines().map(|line| read(&without_escapes(line))).collect();
    let mut errors = lines.iter().filter(|line| line.is_error).map(|line| {
        let told = line.text.lines().map(spoken).take_while(|line| !line.starts_with(ADVICE));
        told.collect::<Vec<_>>().join(" ")
    });
    let last = errors.rfind(|error| !error.is_empty()).unwrap_or_else(|| {
        let all = lines.iter().map(|line| spoken(&line.text)).filter(|line| !line.is_empty());
        let all: Vec<String> = all.collect();
        all[all.len().saturating_sub(LINES)..].join(" ")
    });
    if last.is_empty() {
        return None;
    }
    // Before it is cut: half a secret does not look like one.
    let text = kr8tiv_compiler::redacted(&last);
    let mut shortened: String = text.chars().take(TEXT).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    Some(shortened)
}

/// Of a message that was cut: first at its start, to the end of a log, then at its end, to the container's share. Half a
/// secret does not look like one.
fn whole_lines(message: &str, limit: usize) -> &str {
    let rest = message.split_once('\n').map_or("", |(_, rest)| rest);
    if limit < LOG_END { rest.rsplit_once('\n').map_or("", |(rest, _)| rest) } else { rest }
}

/// Of a structured log's line the message is taken.
fn read(line: &str) -> Line {
    let fields: Value = serde_json::from_str(line.trim()).unwrap_or_default();
    match fields.get("message").and_then(Value::as_str) {
        Some(message) => {
            let level = fields.get("level").and_then(Value::as_str).unwrap_or_default();
            let is_error = ["error", "fatal"].contains(&level.to_ascii_lowercase().as_str());
            Line { is_error, text: message.to_owned() }
        }
        None => Line { is_error: false, text: line.to_owned() },
    }
}

/// What a line says, in words with single spaces, without the time at its start.
fn spoken(line: &str) -> String {
    let words = line.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.skip_while(|word| is_time(word)).collect::<Vec<_>>().join(" ")
}

/// Without the sequences that colour a terminal.
fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.strip_prefix('[').and_then(|part| Some(part.find(|c: char| c.is_ascii_alphabetic())? + 2));
        plain.push_str(end.and_then(|end| part.get(end..)).unwrap_or(part));
    }
    plain
}

/// Whether a word is a date, a time, or both.
fn is_time(word: &str) -> bool {
    let bare = word.trim_matches(['[', ']', '(', ')', ',']);
    let is_address = bare.matches('.').count() > 1;
    bare.starts_with(|c: char| c.is_ascii_digit())
        && bare.contains([':', '-'])
        && !is_address
        && bare.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '-' | '.' | '+' | 'T' | 'Z'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn last(message: &str) -> String {
        last_words(message, LOG_END).unwrap_or_default()
    }

    #[test]
    fn the_last_lines_are_one_without_times_and_colours() {
        let message = "a\nb\n2026-11-25T20:06:05.123+00:00 \u{1b}[31mgateway.mode\u{1b}[39m:\tis missing\n\n[20:06:05] fix it\n";
        assert_eq!(last(message), "b gateway.mode: is missing fix it");
        assert_eq!(last("127.0.0.1:18789 is in use"), "127.0.0.1:18789 is in use");
        assert_eq!(last_words(" \n\n", LOG_END), None);
    }

    #[test]
    fn of_a_structured_log_the_last_error_is_taken_without_advice() {
        let info = r#"{"time":"2026-11-25T20:06:04.000Z","level":"info","message":"broker ready pid=9002"}"#;
        let error = json!({
            "time": "2026-11-25T20:06:05.123Z", "level": "error",
            "message": "Gateway failed to start: Invalid config at /c/openclaw.json:\n<root>: Unrecognized key: \"bogus\"\n\
                        Run \"openclaw doctor --fix\" to repair, then retry.\nMore advice."
        });
        let advice = json!({"level": "error", "message": "Run \"openclaw doctor --fix\" to repair it."});
        let expected = "Gateway failed to start: Invalid config at /c/openclaw.json: <root>: Unrecognized key: \"bogus\"";
        assert_eq!(last(&format!("{info}\n{error}\n{advice}\n")), expected);
        assert_eq!(last(&format!("cut\n{info}")), "cut broker ready pid=9002");
        assert_eq!(last(r#"{"code":1}"#), r#"{"code":1}"#);
    }

    #[test]
    fn a_hostile_message_is_bounded_and_shows_no_secret() {
        let token = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456";
        assert_eq!(last(&format!("the bot {token} is refused")), "the bot [redacted] is refused");
        let hidden = format!("{} Bearer canary-canary", "x ".repeat(195));
        assert!(!last(&hidden).contains("canary"), "{}", last(&hidden));
        assert_eq!(last(&format!("{}-canary\nnot found", "x".repeat(LOG_END))), "not found");
        let share = message_limit(7);
        let cut = format!("{}-canary\nnot found\nBearer canary", "x".repeat(share));
        assert_eq!((share, last_words(&cut, share).as_deref()), (1755, Some("not found")));
        assert_eq!(last_words(&"x".repeat(share), share), None);
        assert_eq!((message_limit(0), message_limit(6)), (LOG_END, LOG_END));
        let long = last(&format!("\n{}", "ä\u{7}\u{1b}\u{1b}[".repeat(10_000)));
        assert!(long.chars().count() <= TEXT + 1 && !long.contains(char::is_control), "{long}");
    }
}
