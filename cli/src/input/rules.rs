//! Judging stage, pure: the rules of a resource type (`x-kubernetes-validations`), which are written in CEL. They are
//! judged on an object that its schema takes and that has its defaults, as in the API server; those that compare with
//! what is stored are judged where both are known.

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, validate_compiled};
use serde_json::Value;

use crate::problem::Code;

/// What a rule says about an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broken {
    /// What kind of problem it is.
    pub code: Code,
    /// Path of the field that the rule belongs to; empty for the object as a whole.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

/// Judges an object; with `old`, a change from it as well.
pub fn check(rules: &CompiledSchema, object: &Value, old: Option<&Value>) -> Vec<Broken> {
    let judged = validate_compiled(rules, object, old);
    judged.err().map(|errors| errors.into_vec().into_iter().map(broken).collect()).unwrap_or_default()
}

fn broken(error: ValidationError) -> Broken {
    let ValidationError { message, field_path, kind, rule, .. } = error;
    if kind != ErrorKind::ValidationFailure {
        return Broken {
            code: Code::RuleNotJudged,
            field: field_path,
            problem: format!("a rule can't be judged here: {message}"),
            fix: format!("let the API server judge it (kubectl apply --dry-run=server); the rule is {rule}"),
        };
    }
    // The rules' messages are written "PROBLEM; FIX", or "PROBLEM: FIX" where the fix is to set something.
    let parts = message
        .rsplit_once("; ")
        .or_else(|| message.rsplit_once(": ").filter(|(_, fix)| fix.starts_with("set ")))
        .map(|(problem, fix)| (problem.to_owned(), fix.to_owned()));
    let (problem, fix) = parts.unwrap_or_else(|| (message, "change it so that this holds".to_owned()));
    // Rules of a whole object name the field that they are about first.
    let named =
        problem.split(' ').next().filter(|word| word.starts_with("metadata.") || word.starts_with("spec."));
    let field = match named {
        Some(named) if field_path.is_empty() => named.to_owned(),
        _ => field_path,
    };
    Broken { code: Code::RuleBroken, field, problem, fix }
}
