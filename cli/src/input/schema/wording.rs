//! The words for what a schema refuses: what is wrong with the value that is there, and what to write instead.

use serde_json::Value as Json;

use crate::input::node::{Node, Value};
use crate::input::scalar::{self, Scalar};

/// Longest part of a value that a message repeats, in characters.
const SHOWN: usize = 60;
/// Most names that a fix lists.
const LISTED: usize = 12;
/// How alike a name must be to be proposed; strsim's scale from 0 to 1.
const ALIKE: f64 = 0.8;

/// A problem and its fix.
pub(super) type Words = (String, String);

/// A text as a message shows it: in quotes, on one line, not too long.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Whether a field names a Secret or a key of one: what stands there by mistake may be the secret itself.
pub fn is_reference_to_a_secret(path: &str) -> bool {
    path.contains("SecretRef")
}

/// Whether a field that does not exist has a name like that of a secret in clear.
pub fn may_be_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "password", "passphrase", "secret", "apikey", "api_key", "privatekey", "credential"]
        .iter()
        .any(|part| name.contains(part))
}

/// The command that says more about a field.
pub(super) fn explain(kind: &str, path: &str) -> String {
    let plain: String = path
        .split('[')
        .enumerate()
        .map(
            |(position, part)| {
                if position == 0 { part } else { part.split_once(']').map_or("", |(_, after)| after) }
            },
        )
        .collect();
    let dot = if plain.is_empty() { "" } else { "." };
    format!("kubectl explain {}{dot}{plain}", kind.to_ascii_lowercase())
}

/// The first sentence of a field's description.
fn about(schema: &Json) -> Option<&str> {
    let description = schema["description"].as_str()?;
    let end = description.find(". ").or_else(|| description.find(".\n")).unwrap_or(description.len());
    Some(description[..end].trim_end_matches('.').trim()).filter(|sentence| !sentence.is_empty())
}

pub(super) fn about_it(schema: &Json) -> String {
    about(schema)
        .map(|about| format!(" ({})", about.split_whitespace().collect::<Vec<_>>().join(" ")))
        .unwrap_or_default()
}

fn most_alike<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let rated = known.iter().map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), *known));
    rated.filter(|(rate, _)| *rate >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

pub(super) fn unknown(name: &str, known: &[&str], path: &str, kind: &str) -> Words {
    let parent = path.strip_suffix(name).unwrap_or(path).trim_end_matches('.');
    let fix = match most_alike(name, known) {
        Some(alike) => format!("write {alike}, or remove it"),
        None if known.is_empty() => "remove it: there are no fields here".into(),
        None if known.len() <= LISTED => format!("remove it, or use one of: {}", known.join(", ")),
        None => format!("remove it; {} lists what there is", explain(kind, parent)),
    };
    (format!("there is no field {name} here"), fix)
}

pub(super) fn missing(name: &str, schema: &Json) -> Words {
    let wanted = type_name(schema["type"].as_str(), schema);
    (format!("{name} is required and not set"), format!("set it to {wanted}{}", about_it(schema)))
}

fn type_name(expected: Option<&str>, schema: &Json) -> &'static str {
    match expected {
        Some("string") if schema.get("enum").is_some() => "one of the values that it takes",
        Some("string") => "a text",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        Some("object") => "a map",
        _ if schema["x-kubernetes-int-or-string"] == Json::Bool(true) => "a whole number or a text",
        _ => "a value",
    }
}

/// A value of another type than expected. `written` is its text in the file, `shows` whether it may be repeated.
pub(super) fn wrong_type(
    expected: Option<&str>,
    node: &Node,
    written: &str,
    schema: &Json,
    shows: bool,
) -> Words {
    let wanted = type_name(expected, schema);
    let found = match &node.value {
        Value::List(_) => "this is a list".to_owned(),
        Value::Map(_) => "this is a map".to_owned(),
        Value::Scalar(Scalar::Null) => "nothing is written".to_owned(),
        Value::Scalar(scalar) if !shows => format!("this is {}", scalar.type_name()),
        Value::Scalar(Scalar::Text(text)) => format!("{} is a text", quoted(text)),
        Value::Scalar(Scalar::Bool(value)) if written == value.to_string() => format!("{value} is a boolean"),
        Value::Scalar(Scalar::Bool(value)) => format!("{written} is read as the boolean {value}"),
        Value::Scalar(Scalar::Number(value)) if written == value.to_string() => {
            format!("{value} is a number")
        }
        Value::Scalar(Scalar::Number(value)) => format!("{written} is read as the number {value}"),
    };
    let fix = match (expected, &node.value) {
        (Some("string") | None, Value::Scalar(Scalar::Bool(_) | Scalar::Number(_))) if shows => {
            format!("put it in quotes: {}", quoted(written))
        }
        (Some("string"), Value::Scalar(Scalar::Bool(_) | Scalar::Number(_))) => "put it in quotes".into(),
        (Some("integer" | "number" | "boolean"), Value::Scalar(Scalar::Text(text)))
            if !matches!(scalar::plain(text), Ok(Scalar::Text(_)) | Err(_)) =>
        {
            "remove the quotes".into()
        }
        (Some("array"), Value::Scalar(Scalar::Text(text))) if shows => {
            format!("make it a list: [{}]", quoted(text))
        }
        (Some("array"), Value::Map(_)) => "make it a list: begin each entry with a dash".into(),
        (Some("object"), _) => match schema["properties"].as_object() {
            Some(fields) if fields.len() <= LISTED => {
                let fields: Vec<&str> = fields.keys().map(String::as_str).collect();
                format!("write its fields below it: {}", fields.join(", "))
            }
            _ => "write its fields below it".into(),
        },
        _ => format!("write {wanted}{}", about_it(schema)),
    };
    (format!("{found}, and {wanted} is expected"), fix)
}

pub(super) fn no_choice(node: &Node, choices: &[Json], shows: bool) -> Words {
    let names: Vec<String> = choices.iter().filter(|choice| !choice.is_null()).map(plain).collect();
    let value = plain(&node.to_json());
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let problem = if shows {
        format!("{} is not one of the values that it takes", quoted(&value))
    } else {
        "it is not one of the values that it takes".into()
    };
    let fix = match most_alike(&value, &known) {
        Some(alike) if known.len() > 1 => format!("write {alike}; the values are: {}", names.join(", ")),
        _ if names.len() == 1 => format!("write {}", names.concat()),
        _ => format!("use one of: {}", names.join(", ")),
    };
    (problem, fix)
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn no_match(text: &str, pattern: &str, schema: &Json, shows: bool) -> Words {
    if pattern == r"\S" {
        return ("it has nothing but white space".into(), format!("write something{}", about_it(schema)));
    }
    let value = if shows { quoted(text) } else { "it".into() };
    let problem = format!("{value} does not have the form {pattern}");
    (problem, format!("write it in that form{}", about_it(schema)))
}

pub(super) fn not_empty(things: &str, least: u64) -> String {
    match (things, least) {
        ("characters", _) => "write something".into(),
        (_, 1) => "write at least one entry".into(),
        _ => format!("write at least {least} entries"),
    }
}

/// What two entries have in common.
pub(super) fn same_key(keys: &[&str], values: &Json) -> String {
    let values = values.as_array().into_iter().flatten();
    let pairs: Vec<String> =
        keys.iter().zip(values).map(|(key, value)| format!("the {key} {}", plain(value))).collect();
    pairs.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_explained_without_positions() {
        assert_eq!(explain("Tenant", "spec.a[0].b[1]"), "kubectl explain tenant.spec.a.b");
        assert_eq!(explain("Agent", ""), "kubectl explain agent");
    }

    #[test]
    fn long_values_and_control_characters_are_kept_short_and_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}[2J"), r#""a\nb\u{1b}[2J""#);
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), SHOWN + 3);
    }
}
