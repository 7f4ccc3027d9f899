//! Converting stage, pure: the resources as they come into being. A value is written and reported in one step, so that
//! none can be lost without a word.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::import::legacy::Given;
use crate::import::names::Names;
use crate::import::overflow::Overflow;
use crate::import::report::{Entry, Kind, Ledger, Outcome, SecretToCreate, SecretValue, Target, shown};
use crate::input::kinds::GROUP;

/// The Harness and the Tenant that a file becomes.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    names: Names,
    namespace: Option<String>,
    harness: Value,
    tenant: Value,
    secrets: BTreeMap<String, SecretValue>,
    /// Files for what does not fit into its field.
    pub overflow: Overflow,
    /// What became of each value.
    pub ledger: Ledger<'a>,
}

/// A value before and after, as far as it may be shown.
#[derive(Clone, Debug)]
pub struct Difference {
    old: String,
    new: String,
}

impl Difference {
    /// Two values.
    pub fn of(old: &impl ToString, new: &impl ToString) -> Self {
        Self { old: shown(&old.to_string()), new: shown(&new.to_string()) }
    }
}

/// A value for people; references to Secrets are clearer by their field's name.
fn in_words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join("; "))
        }
        Value::Object(_) => None,
        _ => Some(value.to_string()),
    }
}

impl<'a> Draft<'a> {
    /// With nothing but names.
    pub fn new(names: Names, namespace: Option<&str>, ledger: Ledger<'a>) -> Self {
        let tenant = json!({"spec": {"harnessRef": {"name": names.harness}}});
        Self {
            names,
            namespace: namespace.map(str::to_owned),
            harness: json!({}),
            tenant,
            secrets: BTreeMap::new(),
            overflow: Overflow::default(),
            ledger,
        }
    }

    /// Writes a value that means the same in its new place.
    pub fn carry<T>(&mut self, given: &Given<T>, to: Target, value: impl Into<Value>) {
        self.write(to, value.into());
        self.record(Outcome::Carried, given, Some(to), None, String::new());
    }

    /// Writes a value in another form.
    pub fn change<T>(
        &mut self,
        given: &Given<T>,
        to: Target,
        value: impl Into<Value>,
        difference: Option<Difference>,
        reason: impl Into<String>,
    ) {
        self.write(to, value.into());
        self.record(Outcome::Changed, given, Some(to), difference, reason.into());
    }

    /// Writes a part of a value, because not all of it has a place.
    pub fn cut<T>(
        &mut self,
        given: &Given<T>,
        to: Target,
        value: impl Into<Value>,
        reason: impl Into<String>,
    ) {
        self.write(to, value.into());
        self.record(Outcome::NotCarried, given, Some(to), None, reason.into());
    }

    /// Writes a value that the file does not have.
    pub fn add(&mut self, to: Target, value: impl Into<Value>, reason: impl Into<String>) {
        let value = value.into();
        let new = in_words(&value);
        self.write(to, value);
        self.mention(to, new.as_deref(), reason);
    }

    /// Reports a field that the resource type has and the file has no value for.
    pub fn mention(&mut self, to: Target, new: Option<&str>, reason: impl Into<String>) {
        let (outcome, from, to) = (Outcome::Added, None, Some(to));
        let new = new.map(shown);
        self.ledger.record(Entry { outcome, from, to, old: None, new, reason: reason.into() });
    }

    /// Reports a value that another one's field holds as well.
    pub fn merge<T>(&mut self, given: &Given<T>, to: Target, reason: impl Into<String>) {
        self.record(Outcome::Carried, given, Some(to), None, reason.into());
    }

    /// Reports a value whose field is written by somebody else, in another form.
    pub fn note_change<T>(
        &mut self,
        given: &Given<T>,
        to: Target,
        difference: Option<Difference>,
        reason: impl Into<String>,
    ) {
        self.record(Outcome::Changed, given, Some(to), difference, reason.into());
    }

    /// Writes a value that is reported otherwise.
    pub fn write(&mut self, to: Target, value: Value) {
        let mut place = match to.kind {
            Kind::Harness => &mut self.harness,
            Kind::Tenant => &mut self.tenant,
        };
        for name in to.field.split('.') {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            place = &mut place[name];
        }
        *place = value;
    }

    /// A reference to a key of the tenant's Secret, which the report then says to create.
    pub fn secret(&mut self, key: &str, content: &str, variable: &str) -> Value {
        let value = SecretValue { content: content.into(), variable: variable.into() };
        self.secrets.insert(key.into(), value);
        json!({"name": self.names.secret, "key": key})
    }

    fn record<T>(
        &mut self,
        outcome: Outcome,
        given: &Given<T>,
        to: Option<Target>,
        difference: Option<Difference>,
        reason: String,
    ) {
        let from = Some(self.ledger.origin(&given.path, &given.span));
        let (old, new) = difference.map(|Difference { old, new }| (old, new)).unzip();
        self.ledger.record(Entry { outcome, from, to, old, new, reason });
    }

    /// The two resources, the Secret to create, and what became of each value.
    pub fn finish(mut self) -> (Value, Value, SecretToCreate, Vec<Entry>) {
        let files = std::mem::take(&mut self.overflow).into_files();
        if !files.is_empty() {
            self.write(Target::harness("spec.workspace.files"), Value::Array(files));
        }
        let command = self.command();
        let metadata = |name: &str| {
            let mut metadata = json!({"name": name});
            if let Some(namespace) = &self.namespace {
                metadata["namespace"] = namespace.as_str().into();
            }
            metadata
        };
        for (object, kind, name) in [
            (&mut self.harness, "Harness", &self.names.harness),
            (&mut self.tenant, "Tenant", &self.names.tenant),
        ] {
            object["apiVersion"] = format!("{GROUP}/v1alpha1").into();
            object["kind"] = kind.into();
            object["metadata"] = metadata(name);
        }
        let secret = SecretToCreate { name: self.names.secret, keys: self.secrets, command };
        (self.harness, self.tenant, secret, self.ledger.into_entries())
    }

    /// A command without a value in it, so that none is in a file or a shell's history. `:?` makes the shell refuse a
    /// variable that is not set.
    fn command(&self) -> String {
        if self.secrets.is_empty() {
            return String::new();
        }
        let namespace = self.namespace.as_ref().map(|name| format!(" -n {name}")).unwrap_or_default();
        let keys = self
            .secrets
            .iter()
            .map(|(key, value)| format!(" \\\n  --from-literal={key}=\"${{{}:?}}\"", value.variable));
        let keys: String = keys.collect();
        format!("kubectl create secret generic{namespace} {}{keys}", self.names.secret)
    }
}
