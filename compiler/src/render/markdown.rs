//! Text of a harness as Markdown that can't break out of its place. Pure.

/// One line: white space and control characters become single spaces, and no mark at the start can make the line a
/// heading, a list, a quotation, a fence or a rule.
pub(crate) fn line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    guarded(&words.join(" "))
}

/// Several lines, each of them guarded like [`line`]; empty lines at the ends go, several in a row become one.
pub(crate) fn paragraphs(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for next in text.lines().map(line) {
        if !(next.is_empty() && lines.last().is_none_or(String::is_empty)) {
            lines.push(next);
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

/// A list, an entry a line.
pub(crate) fn list<T: AsRef<str>>(entries: &[T]) -> String {
    entries.iter().map(|entry| format!("- {}\n", line(entry.as_ref()))).collect()
}

/// A code span, for names and ids.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", line(text).replace('`', "'"))
}

/// One line that ends like a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let text = line(text);
    if text.ends_with(['.', '!', '?']) { text } else { format!("{text}.") }
}

fn guarded(line: &str) -> String {
    let ordered = line
        .find(|c: char| !c.is_ascii_digit())
        .is_some_and(|end| end > 0 && line[end..].starts_with(['.', ')']));
    let escape = line.starts_with(['#', '>', '-', '+', '*', '=', '`', '~', '|', '<']) || ordered;
    let text = line.replace("<!--", "&lt;!--");
    match (escape, ordered) {
        (true, true) => text.replacen(['.', ')'], "\\.", 1),
        (true, false) => format!("\\{text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_lose_their_meaning() {
        for (text, written) in [
            ("plain text", "plain text"),
            ("# Heading", "\\# Heading"),
            ("- [ ] task", "\\- [ ] task"),
            ("---", "\\---"),
            ("```sh", "\\```sh"),
            ("1. first", "1\\. first"),
            ("2026 was", "2026 was"),
            ("a\n# b\tc\u{7}d", "a # b c d"),
            ("see <!-- hidden", "see &lt;!-- hidden"),
        ] {
            assert_eq!(line(text), written);
        }
        assert_eq!(paragraphs("\n\n# a\n\n\n---\nb\n"), "\\# a\n\n\\---\nb");
    }

    proptest! {
        #[test]
        fn no_line_starts_a_block(text in "[#>*+=`~|<.) 0-9a\n\r\u{b}\u{85}\u{2028}-]{0,60}") {
            for line in paragraphs(&text).lines() {
                prop_assert!(!line.starts_with(['#', '>', '-', '+', '*', '=', '`', '~', '|', '<']), "{line:?}");
            }
            prop_assert_eq!(line(&text).lines().count() <= 1, true);
        }
    }
}
