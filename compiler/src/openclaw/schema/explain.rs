//! Says what a schema finds in words: which key is unknown, which values are allowed, what is missing. Pure.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::Location;
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use crate::openclaw::violation::Violation;

/// A longer text is no word of OpenClaw's, and may be a secret.
const LONGEST_SHOWN: usize = 32;
/// Words in a key whose value is never shown.
const SECRET_WORDS: &[&str] = &["credential", "key", "pass", "secret", "token"];
/// How alike two keys are, from 0 to 1, when one may be a misspelling of the other.
const ALIKE: f64 = 0.8;
/// More keys than these are no help in a message.
const MOST_KEYS: usize = 8;
/// More forms than these are no help in a message.
const MOST_FORMS: usize = 3;

/// One way to be right, and what is wrong in that way.
type Branch<'e, 'i> = Vec<&'e ValidationError<'i>>;

/// The violations that an error of the schema stands for. `schema` is the document that the error's paths lead into.
pub(super) fn explain(error: &ValidationError<'_>, schema: &Value) -> Vec<Violation> {
    let path = dotted(error.instance_path());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let known = known_keys(error.schema_path(), schema);
            let violation =
                |key: &String| Violation { path: below(&path, key), message: unknown_key(key, &known) };
            unexpected.iter().map(violation).collect()
        }
        Kind::Required { property } => {
            let path = below(&path, property.as_str().unwrap_or_default());
            vec![Violation { path, message: "is missing".into() }]
        }
        Kind::PropertyNames { error } => {
            let key = error.instance().as_str().unwrap_or_default();
            let message = format!("the key {}", sentence(error, false));
            vec![Violation { path: below(&path, key), message }]
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => union(error, context, schema),
        _ => vec![Violation { path, message: sentence(error, true) }],
    }
}

/// What is wrong with a value of which there are several forms: the one that was meant speaks, where that is clear.
fn union(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<Violation> {
    let here = error.instance_path();
    let branches = flattened(here, context);
    let (other_kind, same_kind): (Vec<_>, Vec<_>) =
        branches.into_iter().partition(|branch| branch.iter().any(|error| is_of_other_kind(error, here)));
    if same_kind.is_empty() {
        let message =
            format!("must be {}{}", alternatives(other_kind.iter().flatten()), not_this(error, true));
        return vec![Violation { path: dotted(here), message }];
    }
    // The value of a key such as `source` says which form was meant.
    let named: Vec<_> = same_kind.iter().filter(|branch| !branch.iter().any(|e| is_literal(e))).collect();
    let candidates = if named.is_empty() { same_kind.iter().collect() } else { named };
    let fewest = candidates.iter().map(|branch| branch.len()).min();
    let nearest: Vec<&Branch<'_, '_>> =
        candidates.into_iter().filter(|branch| Some(branch.len()) == fewest).collect();
    if let [branch] = nearest.as_slice() {
        return branch.iter().flat_map(|error| explain(error, schema)).collect();
    }
    let firsts: Vec<_> = nearest.iter().filter_map(|branch| branch.first().copied()).collect();
    if let Some(first) = firsts.first()
        && firsts.iter().all(|e| is_literal(e) && e.instance_path() == first.instance_path())
    {
        let message = format!("must be {}{}", alternatives(firsts.iter()), not_this(first, true));
        return vec![Violation { path: dotted(first.instance_path()), message }];
    }
    let forms: BTreeSet<Violation> = firsts.iter().flat_map(|error| explain(error, schema)).collect();
    if forms.len() == 1 {
        return forms.into_iter().collect();
    }
    let forms: Vec<_> =
        forms.iter().take(MOST_FORMS).map(|form| format!("{} {}", form.path, form.message)).collect();
    let message = format!("has none of the forms that are allowed here: {}", forms.join("; or "));
    vec![Violation { path: dotted(here), message }]
}

/// The branches of a union, with those of a union within it in its place.
fn flattened<'e>(here: &Location, context: &'e [Vec<ValidationError<'static>>]) -> Vec<Branch<'e, 'static>> {
    let mut branches = Vec::new();
    for branch in context {
        match branch.as_slice() {
            [only] if only.instance_path() == here => match only.kind() {
                Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                    branches.extend(flattened(here, context));
                }
                _ => branches.push(vec![only]),
            },
            errors => branches.push(errors.iter().collect()),
        }
    }
    branches
}

fn is_of_other_kind(error: &ValidationError<'_>, here: &Location) -> bool {
    error.instance_path() == here
        && (is_literal(error) || matches!(error.kind(), Kind::Type { .. } | Kind::FalseSchema))
}

fn is_literal(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Constant { .. } | Kind::Enum { .. })
}

/// The values and types that errors ask for: `one of "a", "b", or a number`.
fn alternatives<'e, 'i: 'e>(errors: impl Iterator<Item = &'e &'e ValidationError<'i>>) -> String {
    let (mut literals, mut types) = (Vec::new(), Vec::new());
    for error in errors {
        match error.kind() {
            Kind::Constant { expected_value } => literals.push(expected_value.to_string()),
            Kind::Enum { options } => {
                literals.extend(options.as_array().into_iter().flatten().map(Value::to_string));
            }
            Kind::Type { kind } => types.extend(names(kind)),
            _ => {}
        }
    }
    let distinct = |mut texts: Vec<String>| {
        let mut seen = BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        texts
    };
    let (literals, types) = (distinct(literals), distinct(types).join(" or "));
    match (literals.as_slice(), types.as_str()) {
        ([], types) => types.to_owned(),
        ([literal], "") => literal.clone(),
        (literals, "") => format!("one of {}", literals.join(", ")),
        ([literal], types) => format!("{literal} or {types}"),
        (literals, types) => format!("one of {}, or {types}", literals.join(", ")),
    }
}

fn names(kind: &TypeKind) -> Vec<String> {
    match kind {
        TypeKind::Single(single) => vec![type_name(*single).to_owned()],
        TypeKind::Multiple(set) => set.iter().map(|single| type_name(single).to_owned()).collect(),
    }
}

fn type_name(json: JsonType) -> &'static str {
    match json {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}

/// What is wrong with a single value, as the end of a sentence that begins with its name.
fn sentence(error: &ValidationError<'_>, may_show: bool) -> String {
    let not_this = || not_this(error, may_show);
    match error.kind() {
        Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } => {
            format!("must be {}{}", alternatives(std::iter::once(&error)), not_this())
        }
        Kind::Pattern { pattern } => format!("must match the regular expression {pattern}"),
        Kind::Format { format } => format!("must have the format \"{format}\""),
        Kind::Minimum { limit } => format!("must be at least {limit}{}", not_this()),
        Kind::Maximum { limit } => format!("must be at most {limit}{}", not_this()),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}{}", not_this()),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}{}", not_this()),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}{}", not_this()),
        Kind::MinLength { limit: 1 } | Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            "must not be empty".into()
        }
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } | Kind::MinProperties { limit } => {
            format!("must have at least {limit} entries")
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            format!("must have at most {limit} entries")
        }
        Kind::AdditionalItems { limit } => format!("must have at most {limit} entries"),
        Kind::UniqueItems => "must not hold the same entry twice".into(),
        Kind::FalseSchema => "must not be set".into(),
        Kind::OneOfMultipleValid { .. } => "has two of the forms that exclude each other here".into(),
        Kind::Not { .. } => "is a combination that OpenClaw refuses".into(),
        other => format!("does not satisfy \"{}\" of OpenClaw's schema", other.keyword()),
    }
}

/// `, not "this"`, or nothing where the value may be a secret.
fn not_this(error: &ValidationError<'_>, may_show: bool) -> String {
    let shown = match error.instance().as_ref() {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if may_show && is_harmless(text, error.instance_path()) => format!("{text:?}"),
        Value::String(_) => match error.kind() {
            Kind::Type { .. } => "a string".to_owned(),
            _ => return String::new(),
        },
        value => value.to_string(),
    };
    format!(", not {shown}")
}

fn is_harmless(text: &str, path: &Location) -> bool {
    let path = path.as_str().to_ascii_lowercase();
    text.len() <= LONGEST_SHOWN && !SECRET_WORDS.iter().any(|word| path.contains(word))
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let likeness =
        |known: &&str| strsim::jaro_winkler(&key.to_ascii_lowercase(), &known.to_ascii_lowercase());
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) if likeness(nearest) >= ALIKE => {
            format!("OpenClaw has no such key; it has {nearest}")
        }
        Some(_) if known.len() <= MOST_KEYS => {
            format!("OpenClaw has no such key; it has {}", known.join(", "))
        }
        _ => "OpenClaw has no such key".into(),
    }
}

/// The keys that the schema names beside the keyword at a path.
fn known_keys<'s>(keyword: &Location, schema: &'s Value) -> Vec<&'s str> {
    let parent = keyword.as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(parent).and_then(|schema| schema.get("properties"));
    properties.and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn dotted(path: &Location) -> String {
    path.iter().map(|segment| segment.to_string()).collect::<Vec<_>>().join(".")
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
