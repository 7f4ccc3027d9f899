//! Decision stage, pure: what is refused, and what is only told.
//!
//! An object is judged by what it changes. Its tenant is compiled with it as it will be; where that brings problems, also
//! as it is now. What was wrong before, and is no worse afterwards, refuses nothing: whoever mends an object step by step
//! must not be stopped at the first.

mod agent;
mod harness;
mod tenant;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kr8tiv_compiler::{Code, Diagnostic, Inputs, Platform, Severity};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kr8tiv_operator::guard::Guarded;
use kube::Resource;
use serde_json::Value;

use crate::neighbours::Neighbours;
use crate::review::Question;

/// Warnings of one answer. The API server shows about 4,000 characters in all.
const WARNINGS: usize = 16;

/// What a review comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Why the object is refused; `None` when it passes.
    pub refusal: Option<Refusal>,
    /// What is shown in either case.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// It passes, with a word.
    pub fn warn(warning: String) -> Self {
        Self { refusal: None, warnings: vec![warning] }
    }
}

/// Why an object is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It would not compile: a line for each problem.
    Invalid(String),
    /// It can't be deleted yet.
    InUse(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(text) | Self::InUse(text)) = self;
        f.write_str(text)
    }
}

/// Judges the object of a question.
pub fn judge(question: &Question, neighbours: &Neighbours, platform: &Platform) -> Verdict {
    match question {
        Question::Tenant(change) => tenant::tenant(change, neighbours, platform),
        Question::Agent(change) => agent::agent(change, neighbours, platform),
        Question::Harness(change) => harness::harness(change, &neighbours.users, platform),
        Question::HarnessGone(harness) => harness::gone(harness, &neighbours.users),
    }
}

/// Has the compiler set up what it keeps for as long as the process runs: no review need wait for that.
pub fn warm_up() {
    kr8tiv_compiler::config_violations(&Value::Null);
}

/// What one tenant is compiled from.
#[derive(Clone)]
struct Parts<'a> {
    tenant: &'a Tenant,
    harness: Option<&'a Harness>,
    agents: Vec<&'a Agent>,
    neighbours: &'a Neighbours,
}

impl Parts<'_> {
    /// Everything that the compiler says of it.
    fn problems(&self, platform: &Platform) -> Vec<Diagnostic> {
        let inputs = Inputs {
            tenant: self.tenant,
            harness: self.harness,
            agents: &self.agents,
            platform,
            surroundings: &self.neighbours.surroundings,
        };
        let diagnostics = kr8tiv_compiler::compile(&inputs).map_or_else(|errors| errors, |it| it.warnings);
        // What a Harness says is only for those whom it is shared with.
        let is_strange = diagnostics.iter().any(|diagnostic| diagnostic.code == Code::HarnessNotShared);
        let shown = |diagnostic: &&Diagnostic| !is_strange || diagnostic.code == Code::HarnessNotShared;
        diagnostics.iter().filter(shown).cloned().collect()
    }
}

/// Errors that an object yet to come may solve. Objects may be applied in any order.
fn awaits_another(problem: &Diagnostic) -> bool {
    matches!(problem.code, Code::HarnessNotFound | Code::DefaultAgentMissing)
}

/// An error that no other object solves.
fn is_hard(problem: &Diagnostic) -> bool {
    problem.code.severity() == Severity::Error && !awaits_another(problem)
}

/// The hard errors that are there after a change and not before. Problems of one code in one object are counted, not
/// compared: their places move when a list gets shorter. `before` is asked for when there are any.
fn introduced(before: impl FnOnce() -> Vec<Diagnostic>, after: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut errors: Vec<_> = after.iter().filter(|problem| is_hard(problem)).collect();
    if errors.is_empty() {
        return errors;
    }
    let before = before();
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for problem in &before {
        *known.entry((problem.code, &problem.object)).or_default() += 1;
    }
    // Those that are the same word for word are the known ones, whatever their order.
    errors.sort_by_key(|problem| !before.contains(problem));
    errors.retain(|problem| match known.get_mut(&(problem.code, &problem.object)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    errors.sort();
    errors
}

/// The verdict on a change, by the problems before and after it. `is_own` says which are the object's to answer for, and
/// is told whether the change brings them.
fn verdict(
    before: impl FnOnce() -> Vec<Diagnostic>,
    after: &[Diagnostic],
    is_own: impl Fn(&Diagnostic, bool) -> bool,
) -> Verdict {
    let introduced = introduced(before, after);
    let (mut shown, mut is_refused) = (Vec::new(), false);
    for problem in after {
        let is_new = introduced.contains(&problem);
        let is_own = is_own(problem, is_new);
        is_refused |= is_own && is_new;
        if is_own || is_new || awaits_another(problem) {
            shown.push((is_own && is_hard(problem), problem.to_string()));
        }
    }
    let (named, told): (Vec<_>, Vec<_>) =
        shown.into_iter().partition(|(is_named, _)| is_refused && *is_named);
    let lines = |shown: Vec<(bool, String)>| shown.into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    Verdict {
        refusal: is_refused.then(|| Refusal::Invalid(lines(named).join("\n"))),
        warnings: shortened(lines(told)),
    }
}

fn shortened(mut warnings: Vec<String>) -> Vec<String> {
    if warnings.len() > WARNINGS {
        let more = warnings.len() - WARNINGS + 1;
        warnings.truncate(WARNINGS - 1);
        warnings.push(format!("and {more} more"));
    }
    warnings
}

/// A neighbour, or what is told where this version can't read it. Why that is so has words of the neighbour in it, which
/// are for its own namespace.
fn readable<'a, K: Resource<DynamicType = ()>>(
    found: &'a Guarded<K>,
    own: &ObjectMeta,
) -> Result<&'a K, Verdict> {
    found.readable().map_err(|unreadable| {
        let name = unreadable.metadata.name.as_deref().unwrap_or_default();
        let is_near = unreadable.metadata.namespace == own.namespace;
        let why = if is_near { format!(": {}", unreadable.error) } else { String::new() };
        let kind = K::kind(&());
        Verdict::warn(format!("not judged: {kind} {name} can't be read by this version of the webhook{why}"))
    })
}

fn readable_if<'a, K: Resource<DynamicType = ()>>(
    found: Option<&'a Guarded<K>>,
    own: &ObjectMeta,
) -> Result<Option<&'a K>, Verdict> {
    found.map(|found| readable(found, own)).transpose()
}
