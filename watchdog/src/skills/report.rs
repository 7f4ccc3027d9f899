//! Reporting stage, pure: the report on a pack, which kubelet puts into the Pod's status.

use serde::Serialize;

use crate::skills::names::PackName;

/// Bytes of a report. Kubernetes keeps 12 KiB of such messages of a Pod and cuts each at its share: this much is left
/// when sixteen packs, the watchdog twice, the gateway and five more containers share it.
const LIMIT: usize = 12 * 1024 / 24;

#[derive(Serialize)]
struct Report<'a> {
    packs: [PackReport<'a>; 1],
}

#[derive(Serialize)]
struct PackReport<'a> {
    name: &'a str,
    problem: Option<String>,
}

/// The report on a pack as JSON; without a problem it was copied. The end of a problem that is too long is cut off:
/// what Kubernetes would cut is the JSON.
pub fn report(pack: &PackName, problem: Option<&str>) -> String {
    let json = |problem: Option<String>| {
        let report = Report { packs: [PackReport { name: pack.as_str(), problem }] };
        // Text and nothing else: serialising it can't fail.
        serde_json::to_string(&report).unwrap_or_default()
    };
    let whole = json(problem.map(str::to_owned));
    let text = problem.unwrap_or_default();
    let mut cut = text.char_indices().rev().map(|(end, _)| json(Some(format!("{}…", &text[..end]))));
    if whole.len() <= LIMIT { whole } else { cut.find(|json| json.len() <= LIMIT).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(problem: Option<&str>) -> String {
        let name = "a".repeat(40).parse().unwrap();
        report(&name, problem)
    }

    #[test]
    fn says_what_became_of_the_pack() {
        let name = "a".repeat(40);
        assert_eq!(json(None), format!(r#"{{"packs":[{{"name":"{name}","problem":null}}]}}"#));
        assert_eq!(json(Some("why")), format!(r#"{{"packs":[{{"name":"{name}","problem":"why"}}]}}"#));
    }

    #[test]
    fn is_whole_however_long_the_problem() {
        for problem in ["x".repeat(5000), "\u{1}\"\\".repeat(300), "€😀".repeat(200), "…".repeat(900)] {
            let json = json(Some(&problem));
            assert!(json.len() <= LIMIT, "{}", json.len());
            assert!(json.len() > LIMIT - 16, "{}: more than need be is cut off", json.len());
            let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
            let said = parsed["packs"][0]["problem"].as_str().unwrap();
            assert!(said.ends_with('…') && problem.starts_with(said.trim_end_matches('…')));
        }
    }
}
