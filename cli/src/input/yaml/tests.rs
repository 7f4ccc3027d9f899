//! What files become, and what they can't do.

use serde_json::json;

use super::*;

fn json(text: &str) -> serde_json::Value {
    let Reading { documents, faults, incomplete } = read(text);
    assert_eq!((faults, incomplete), (vec![], false), "{text}");
    documents.iter().map(Node::to_json).collect()
}

#[test]
fn documents_are_what_kubectl_makes_of_them() {
    assert_eq!(json("a: 1\n---\n- b\n"), json!([{"a": 1}, ["b"]]));
    assert_eq!(json(r#"{"a": "b\u00e4\ud83d\ude00"}"#), json!([{"a": "b\u{e4}😀"}]));
    assert_eq!(json("{yes: 1, 2: x, 1.5: z}"), json!([{"true": 1, "2": "x", "1.5": "z"}]));
    assert_eq!(json("a: |\n  x\n  y\nb: >-\n  x\n  y\n"), json!([{"a": "x\ny\n", "b": "x y"}]));
    assert_eq!(
        json("a: !!str 1\nb: ! 2\nc: '3'\nd: !!int '4'"),
        json!([{"a": "1", "b": "2", "c": "3", "d": 4}])
    );
    assert_eq!(json("a:\nb: ''\n"), json!([{"a": null, "b": ""}]));
    assert_eq!(json("# nothing\n"), json!([]));
}

#[test]
fn aliases_and_merges_are_written_out() {
    let text = "a: &a {x: 1, v: 2}\nb: *a\nc: {<<: *a, x: 3}\nd: {<<: [{z: 1}, *a], w: 0}\ne: {'<<': 1}\n";
    let expected = json!([{
        "a": {"x": 1, "v": 2}, "b": {"x": 1, "v": 2}, "c": {"x": 3, "v": 2},
        "d": {"w": 0, "x": 1, "v": 2, "z": 1}, "e": {"<<": 1},
    }]);
    assert_eq!(json(text), expected);
}

#[test]
fn what_grows_without_bounds_is_stopped() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    for text in [bomb, "[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let Reading { faults, incomplete, .. } = read(&text);
        assert!(incomplete && !faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn a_broken_document_leaves_the_others() {
    let Reading { documents, faults, incomplete } = read("a: [1\n---\nb: 2\n---\nc: \"\n---\nd: 4\n");
    let documents: Vec<_> = documents.iter().map(Node::to_json).collect();
    assert_eq!(documents, [json!({"b": 2}), json!({"d": 4})]);
    assert_eq!((faults.len(), incomplete), (2, true));
}
