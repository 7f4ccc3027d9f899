//! `docs/diagnostics.md` is what the compiler says of the cases.

use kr8tiv_compiler::{CODES, Code, Diagnostic, Severity};

use crate::cases::cases;
use crate::common;

const DOCUMENT: &str = "\
<!-- Generated from compiler/src/diagnostics.rs and compiler/tests/problems by
     `UPDATE=1 cargo test -p kr8tiv-compiler --test problems`. Edit those, not this file. -->
# Diagnostics

What the compiler can find wrong with a Tenant, its Harness and its Agents, beyond what the API server refuses already
([reference.md](reference.md)). All problems are reported at once, each in the form
`OBJECT, FIELD: PROBLEM; FIX (CODE)`. An error keeps the tenant from being compiled: the gateway goes on with what it
was given last. A *warning* does not; it is in the message of the Tenant's condition `Compiled`. A code never changes
its meaning and is never used again.

Below, each code has the problem and the fix as they read in one example.
";

#[test]
fn the_document_equals_the_compiler() {
    let mut text = DOCUMENT.to_owned();
    for (hundred, title) in
        ["References", "Policy", "Agents together", "Single values", "Limits of size"].into_iter().enumerate()
    {
        text.push_str(&format!(
            "\n## {title}\n\n| Code | Meaning | Example | Fix |\n| --- | --- | --- | --- |\n"
        ));
        for (code, case, _) in cases() {
            if code[3..5].parse() == Ok(hundred) {
                text.push_str(&row(case.found().iter().next().unwrap()));
            }
        }
    }
    assert_eq!(text.matches("| `K8T").count(), CODES.len(), "a hundred without a title");
    let path = common::root().join("docs/diagnostics.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "{} is not what the compiler says: run UPDATE=1 cargo test -p kr8tiv-compiler --test problems",
        path.display()
    );
}

fn row(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, object, field, problem, fix } = diagnostic;
    let warning = if code.severity() == Severity::Warning { " (warning)" } else { "" };
    // How much too large something is would change with every word that the compiler adds to a file.
    let size = problem.split(' ').find(|word| code.as_str() >= "K8T0400" && word.parse::<usize>().is_ok());
    let problem = size.map_or_else(|| problem.clone(), |size| problem.replacen(size, "…", 1));
    let example = format!("{object}, {field}: {problem}").replace('|', "\\|");
    format!(
        "| `{}`{warning} | {} | {example} | {} |\n",
        code.as_str(),
        meaning(*code),
        fix.replace('|', "\\|")
    )
}

/// The documentation of a code in the source: the one place that says what it means.
fn meaning(code: Code) -> String {
    let source = include_str!("../../src/diagnostics.rs");
    let (before, _) = source.split_once(&format!("\n    {code:?},\n")).unwrap();
    let lines: Vec<_> = before.lines().rev().map_while(|line| line.strip_prefix("    /// ")).collect();
    assert!(!lines.is_empty(), "{code:?} is not documented");
    lines.into_iter().rev().collect::<Vec<_>>().join(" ")
}
