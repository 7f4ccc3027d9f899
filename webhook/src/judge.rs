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

use kr8tiv_compiler::{Code, Diagnostic, Inputs, Platform, Severity};
use kr8tiv_crds::{Agent, Harness, Tenant};
use kube::Resource;

use crate::neighbours::Neighbours;

pub use agent::agent;
pub use harness::{User, gone, harness};
pub use tenant::tenant;

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

/// Problems that an object yet to come may solve. Objects may be applied in any order.
fn awaits_another(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, Code::HarnessNotFound | Code::DefaultAgentMissing)
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.code.severity() == Severity::Error
}

fn has_errors(problems: &[Diagnostic]) -> bool {
    problems.iter().any(|problem| is_error(problem) && !awaits_another(problem))
}

/// The errors that are there after a change and not before. Problems of one code in one object are counted, not compared:
/// their places move when a list gets shorter.
fn introduced<'a>(before: &[Diagnostic], after: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let mut known: BTreeMap<_, usize> = BTreeMap::new();
    for problem in before {
        *known.entry((problem.code, &problem.object)).or_default() += 1;
    }
    let mut errors: Vec<_> =
        after.iter().filter(|problem| is_error(problem) && !awaits_another(problem)).collect();
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

/// The verdict on a change, by the problems before and after it. `is_own` says which are the object's to answer for.
fn verdict(before: &[Diagnostic], after: &[Diagnostic], is_own: impl Fn(&Diagnostic) -> bool) -> Verdict {
    let introduced = introduced(before, after);
    let refuses = |problem: &Diagnostic| is_own(problem) && introduced.contains(&problem);
    let is_refused = after.iter().any(refuses);
    let is_shown = |problem: &Diagnostic| {
        if is_error(problem) && !awaits_another(problem) {
            is_own(problem) || introduced.contains(&problem)
        } else {
            is_own(problem) || awaits_another(problem)
        }
    };
    let (named, told): (Vec<_>, Vec<_>) = after
        .iter()
        .filter(|problem| is_shown(problem))
        .partition(|problem| is_refused && is_error(problem) && !awaits_another(problem) && is_own(problem));
    let lines: Vec<_> = named.into_iter().map(ToString::to_string).collect();
    Verdict {
        refusal: is_refused.then(|| Refusal::Invalid(lines.join("\n"))),
        warnings: shortened(told.into_iter().map(ToString::to_string).collect()),
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

/// A neighbour that this version can't read.
fn unreadable<K: Resource<DynamicType = ()>>(
    found: &kr8tiv_operator::guard::Guarded<K>,
) -> Result<&K, Verdict> {
    found.readable().map_err(|unreadable| {
        let name = unreadable.metadata.name.as_deref().unwrap_or_default();
        Verdict::warn(format!(
            "not judged: {} {name} can't be read by this version of the webhook: {}",
            K::kind(&()),
            unreadable.error
        ))
    })
}
