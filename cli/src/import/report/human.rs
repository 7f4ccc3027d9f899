//! Output stage: the report for people. Pure.

use std::fmt::Write;

use annotate_snippets::normalize_untrusted_str;

use crate::import::report::{Entry, FileReport, Outcome, Report, SecretToCreate};

/// The outcomes that are listed, what needs a decision first.
const LISTED: [(Outcome, &str); 3] = [
    (Outcome::NotCarried, "not carried over"),
    (Outcome::Changed, "changed"),
    (Outcome::Added, "added, because the resource types need it"),
];

/// Writes a report.
pub fn render(report: &Report) -> String {
    let files: Vec<String> = report.files.iter().map(file).collect();
    files.join("\n")
}

fn file(report: &FileReport) -> String {
    let FileReport { file, format, harness, tenant, entries, secret } = report;
    let mut text = format!(
        "{}: format {format:?}, now Harness {harness} and Tenant {tenant}\n",
        normalize_untrusted_str(file)
    );
    for (outcome, title) in LISTED {
        let mut listed = entries.iter().filter(|entry| entry.outcome == outcome).peekable();
        if listed.peek().is_some() {
            let _ = writeln!(text, "  {title}:");
        }
        for entry in listed {
            // The texts repeat values of the file, which must not steer a terminal.
            let _ = writeln!(text, "    {}", normalize_untrusted_str(&line(entry)));
        }
    }
    let _ = writeln!(text, "  carried over as they are: {}", counted(report.count(Outcome::Carried)));
    text.push_str(&commands(secret));
    text
}

fn line(entry: &Entry) -> String {
    let Entry { from, to, old, new, reason, .. } = entry;
    let mut line = match (from, to) {
        (Some(from), _) => format!("{}:{} {}", from.line, from.column, from.field),
        (None, Some(to)) => to.to_string(),
        (None, None) => String::new(),
    };
    match (old, new) {
        (Some(old), Some(new)) => {
            let _ = write!(line, ": {old} is now {new}");
        }
        (None, Some(new)) => {
            let _ = write!(line, ": {new}");
        }
        (Some(old), None) => {
            let _ = write!(line, ": {old}");
        }
        (None, None) => {}
    }
    if let (Some(_), Some(to)) = (from, to) {
        let _ = write!(line, " ({to})");
    }
    if reason.is_empty() { line } else { format!("{line}: {reason}") }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 value".into() } else { format!("{count} values") }
}

fn commands(secret: &SecretToCreate) -> String {
    let SecretToCreate { name, keys, command } = secret;
    if keys.is_empty() {
        return String::new();
    }
    let mut text = format!("  before you apply, create the Secret {name} in the Tenant's namespace:\n");
    for (key, value) in keys {
        let _ = writeln!(text, "    {key}: {}, from ${}", value.content, value.variable);
    }
    for line in command.lines() {
        let _ = writeln!(text, "    {line}");
    }
    text
}
