//! From hits to the lines of context that an agent reads. Pure.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::Value;

use crate::error::BadResponse;
use crate::wire::clamped;

/// Characters of a line at most, with the `…` of one that was cut.
pub const LINE_LIMIT: usize = 240;

/// Where answers have their hits: Supermemory's first, then those of services that imitate earlier releases.
const LISTS: [&str; 4] = ["results", "hits", "items", "data"];
/// Where hits have their text: a memory, a piece of a document, then earlier releases.
const TEXTS: [&str; 5] = ["memory", "chunk", "content", "text", "snippet"];
/// Where hits have their similarity.
const SCORES: [&str; 2] = ["similarity", "score"];

/// Something that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// What is remembered.
    pub text: String,
    /// How similar it is to the query, from 0 to 1; `None` when the service does not say.
    pub similarity: Option<f64>,
}

/// The hits in the answer to a search. One without a text is left out.
pub(crate) fn hits(answer: &Value) -> Result<Vec<Hit>, BadResponse> {
    let list = LISTS.iter().find_map(|name| answer.get(name)?.as_array());
    let list = list.ok_or(BadResponse::Lacks("results"))?;
    let hits = list.iter().filter_map(|item| {
        let texts = TEXTS.iter().filter_map(|name| item.get(name)?.as_str());
        let text = texts.into_iter().find(|text| !text.trim().is_empty())?;
        let similarity = SCORES.iter().find_map(|name| item.get(name)?.as_f64());
        Some(Hit { text: text.to_owned(), similarity })
    });
    Ok(hits.collect())
}

/// The best lines of the hits of several queries, at most `limit`: each once, the most similar first, equally similar
/// ones in the order in which they were found. What is less similar than `threshold` is left out, although the service
/// should not have sent it; what has no similarity is taken for just similar enough.
pub fn context_lines(hits: impl IntoIterator<Item = Hit>, threshold: f64, limit: usize) -> Vec<String> {
    let threshold = clamped(threshold);
    let mut found: Vec<(f64, String)> = hits
        .into_iter()
        .map(|hit| (hit.similarity.unwrap_or(threshold), hit.text))
        .filter(|(similarity, _)| *similarity >= threshold)
        .map(|(similarity, text)| (similarity, line(&text)))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    // JSON has no NaN, so that all are comparable. The sort is stable.
    found.sort_by(|(one, _), (other, _)| other.partial_cmp(one).unwrap_or(Ordering::Equal));
    let mut seen = HashSet::new();
    let lines = found.into_iter().map(|(_, line)| line).filter(|line| seen.insert(line.clone()));
    lines.take(limit).collect()
}

/// A text as one line of at most [`LINE_LIMIT`] characters, without what a reader would not see.
fn line(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    let words = visible.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LINE_LIMIT {
        return line;
    }
    let cut: String = line.chars().take(LINE_LIMIT - 1).collect();
    format!("{}…", cut.trim_end())
}

/// Characters that a model reads and a person does not see: those that Unicode has ignored where they can't be shown
/// (joiners, turns of direction, fillers, variation selectors, tags), and marks of annotations. They serve to smuggle
/// instructions into what looks like a harmless line.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn hit(text: &str, similarity: impl Into<Option<f64>>) -> Hit {
        Hit { text: text.into(), similarity: similarity.into() }
    }

    #[test]
    fn texts_and_lists_of_earlier_releases_are_found() {
        let answer = json!({"results": [
            {"id": "1", "memory": "a", "similarity": 0.9}, {"id": "2", "chunk": "b", "similarity": 0.8},
            {"content": "c", "score": 0.7}, {"memory": null, "text": "d"}, {"memory": " ", "snippet": "e"},
            {"id": "none"}, "no object", {"memory": 3}
        ]});
        let expected = [hit("a", 0.9), hit("b", 0.8), hit("c", 0.7), hit("d", None), hit("e", None)];
        assert_eq!(hits(&answer).unwrap(), expected);
        for list in ["hits", "items", "data"] {
            assert_eq!(hits(&json!({"results": null, list: [{"text": "a"}]})).unwrap(), [hit("a", None)]);
        }
        for bad in [json!([]), json!("text"), json!({}), json!({"results": {}}), json!(null)] {
            assert!(matches!(hits(&bad), Err(BadResponse::Lacks("results"))), "{bad}");
        }
    }

    #[test]
    fn the_best_lines_come_first_and_each_once() {
        let hits = [
            hit("low", 0.2),
            hit("b\n\n  b", 0.5),
            hit("best", 0.9),
            hit("b b", 0.7),
            hit("unrated", None),
            hit("c", 0.5),
            hit("\u{200b}\n", 1.0),
        ];
        assert_eq!(context_lines(hits.clone(), 0.45, 10), ["best", "b b", "c", "unrated"]);
        assert_eq!(context_lines(hits.clone(), 0.45, 2), ["best", "b b"]);
        assert_eq!(context_lines(hits.clone(), -3.0, 10).len(), 5, "the threshold is clamped");
        assert_eq!(context_lines(hits.clone(), 7.0, 10), ["unrated"]);
        assert_eq!(context_lines(hits, f64::NAN, 10), ["unrated"]);
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let exact = "ä".repeat(LINE_LIMIT);
        assert_eq!(line(&exact), exact);
        let cut = line(&format!("{exact}x"));
        assert_eq!((cut.chars().count(), cut.ends_with("ä…")), (LINE_LIMIT, true));
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        assert_eq!(line("a\u{202e}b\u{e0041}\u{7}c\u{2028}d"), "ab c d");
        // The first and the last of each range.
        let hidden = "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{180f}\u{200b}\u{200d}\u{200f}\
                      \u{202a}\u{202e}\u{2060}\u{206f}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{fffb}\u{1bca0}\
                      \u{1bca3}\u{1d173}\u{1d17a}\u{e0000}\u{e0001}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}";
        for c in hidden.chars() {
            assert_eq!(line(&format!("a{c}b")), "ab", "U+{:04X}", u32::from(c));
        }
        // What stands beside them.
        let seen = "\u{ac}\u{34e}\u{350}\u{115e}\u{1161}\u{17b6}\u{180a}\u{1820}\u{3163}\u{fe10}\u{ff9f}\u{ffa1}\u{fffc}\u{1d172}\u{1d17b}";
        assert_eq!(line(seen), seen);
        assert_eq!(
            line("\u{2764}\u{fe0f} tea"),
            "\u{2764} tea",
            "an emoji without its selector is one all the same"
        );
    }

    proptest! {
        #[test]
        fn lines_are_few_short_single_and_different(
            texts in prop::collection::vec(("\\PC{0,300}|[ \n\r\t\u{2028}a-c]{0,400}", prop::option::of(-2.0..2.0f64)), 0..40),
            threshold in -1.0..2.0f64,
            limit in 0..60usize,
        ) {
            let hits: Vec<Hit> = texts.iter().map(|(text, similarity)| hit(text, *similarity)).collect();
            let lines = context_lines(hits.clone(), threshold, limit);
            prop_assert!(lines.len() <= limit);
            prop_assert_eq!(lines.iter().collect::<HashSet<_>>().len(), lines.len());
            for line in &lines {
                prop_assert!(!line.is_empty() && line.chars().count() <= LINE_LIMIT);
                prop_assert_eq!(line.trim(), line.as_str());
                let is_bad = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
                prop_assert!(!line.contains(is_bad));
                prop_assert_eq!(&super::line(line), line, "a line stays what it is");
            }
            prop_assert_eq!(context_lines(hits, threshold, limit), lines);
        }
    }
}
