//! A difference as people read it. Pure.

use std::fmt;

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::fields::is_of_pods;
use super::{Change, Difference, Effect, FieldChange, FileChange, ObjectChange};

impl fmt::Display for Difference {
    /// One block for the configuration, one a file, one an object, and a line on the effect at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, config, files, objects } = self;
        if !config.is_empty() {
            writeln!(f, "~ openclaw.json")?;
        }
        for change in config {
            field(f, change, Some(change.effect))?;
        }
        for change in files {
            file(f, change)?;
        }
        for change in objects {
            object(f, change)?;
        }
        f.write_str(match effect {
            _ if self.is_empty() => "No changes.\n",
            Effect::None => "Effect: none. Nothing is reloaded or restarted.\n",
            Effect::Reload => "Effect: reload. The gateway takes the changes over and runs on.\n",
            Effect::Restart => "Effect: restart. The gateway starts anew and answers nobody until then.\n",
        })
    }
}

fn sign(change: Change) -> char {
    match change {
        Change::Created => '+',
        Change::Updated => '~',
        Change::Deleted => '-',
    }
}

fn field(f: &mut fmt::Formatter<'_>, change: &FieldChange, effect: Option<Effect>) -> fmt::Result {
    let FieldChange { path, old, new, effect: _ } = change;
    match effect {
        Some(effect) => writeln!(f, "  {:<8}{path}", effect.as_str())?,
        None => writeln!(f, "  {path}")?,
    }
    let (old, new) = (lines(old.as_ref()), lines(new.as_ref()));
    let (old, new): (Vec<_>, Vec<_>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    for line in TextDiff::from_slices(&old, &new).iter_all_changes() {
        match line.tag() {
            ChangeTag::Equal => {}
            ChangeTag::Delete => writeln!(f, "    - {}", line.value())?,
            ChangeTag::Insert => writeln!(f, "    + {}", line.value())?,
        }
    }
    Ok(())
}

/// A value in lines that can be compared: a list has one an entry.
fn lines(value: Option<&Value>) -> Vec<String> {
    match value {
        None => Vec::new(),
        Some(Value::Array(entries)) if !entries.is_empty() => entries.iter().map(Value::to_string).collect(),
        Some(value @ Value::Object(_)) => format!("{value:#}").lines().map(str::to_owned).collect(),
        Some(value) => vec![value.to_string()],
    }
}

fn file(f: &mut fmt::Formatter<'_>, change: &FileChange) -> fmt::Result {
    let FileChange { agent, name, change, kept, text } = change;
    let note = match (change, kept) {
        (Change::Deleted, true) => "stays on the volume",
        (Change::Deleted, false) => "removed unless the agent has changed it",
        (_, true) => "the agent's own: one that exists stays as it is",
        (_, false) => "read in the next turn",
    };
    writeln!(f, "{} workspace {agent}/{name} ({note})", sign(*change))?;
    text.lines().try_for_each(|line| writeln!(f, "    {line}"))
}

fn object(f: &mut fmt::Formatter<'_>, change: &ObjectChange) -> fmt::Result {
    let ObjectChange { kind, name, change, fields, effect } = change;
    let is_workload = kind == "StatefulSet";
    let note = match (change, effect) {
        (Change::Updated, Effect::Restart) => " (restart: its Pod is replaced)",
        (Change::Deleted, Effect::Restart) => " (restart: its Pod ends)",
        (Change::Updated, _) if is_workload && fields.iter().any(|field| is_of_pods(&field.path)) => {
            " (its Pod is replaced, and the gateway goes on)"
        }
        _ => "",
    };
    writeln!(f, "{} {kind} {name}{note}", sign(*change))?;
    fields.iter().try_for_each(|change| field(f, change, None))
}
