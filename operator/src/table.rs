//! Observation stage, no I/O: what is known of one kind's objects, by name and by the group they belong to.
//!
//! A table holds only what passes read of an object: a few hundred bytes instead of the tens of kilobytes that the
//! object takes. It is written by a watch and, after a write of ours, by its answer: the pass that follows at once
//! then sees its own write, although the watch has not delivered it yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::key::Key;

/// Objects by name, and names by group.
#[derive(Debug)]
pub struct Table<G, V> {
    entries: HashMap<Key, Entry<G, V>>,
    groups: HashMap<G, BTreeSet<Key>>,
    /// The objects seen since a listing began; `None` while none is under way.
    listing: Option<HashSet<Key>>,
}

#[derive(Debug)]
struct Entry<G, V> {
    version: u64,
    group: Option<G>,
    value: Arc<V>,
}

/// What an event changed.
#[derive(Debug, Eq, PartialEq)]
pub struct Change<G> {
    /// The object.
    pub key: Key,
    /// The groups that the object belonged to before and belongs to now.
    pub groups: Vec<G>,
}

impl<G, V> Default for Table<G, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), groups: HashMap::new(), listing: None }
    }
}

impl<G: Clone + Eq + Hash, V: PartialEq> Table<G, V> {
    /// Takes in an object. `None` when nothing that passes read has changed, or when the table knows a newer state.
    pub fn insert(&mut self, key: Key, group: Option<G>, version: u64, value: V) -> Option<Change<G>> {
        if let Some(listing) = &mut self.listing {
            listing.insert(key.clone());
        }
        let mut groups: Vec<G> = group.iter().cloned().collect();
        if let Some(old) = self.entries.get_mut(&key) {
            if version < old.version {
                return None;
            }
            old.version = version;
            if old.group == group && *old.value == value {
                return None;
            }
            if old.group != group {
                let left = old.group.clone();
                self.leave(left.as_ref(), &key);
                groups.extend(left);
            }
        }
        if let Some(group) = &group {
            self.groups.entry(group.clone()).or_default().insert(key.clone());
        }
        self.entries.insert(key.clone(), Entry { version, group, value: Arc::new(value) });
        Some(Change { key, groups })
    }

    /// Forgets an object that was deleted at `version`, unless the table knows of one created since.
    pub fn remove(&mut self, key: &Key, version: u64) -> Option<Change<G>> {
        if self.entries.get(key)?.version > version {
            return None;
        }
        let entry = self.entries.remove(key)?;
        self.leave(entry.group.as_ref(), key);
        Some(Change { key: key.clone(), groups: entry.group.into_iter().collect() })
    }

    /// A listing begins: every object that exists follows.
    pub fn begin_listing(&mut self) {
        self.listing = Some(HashSet::new());
    }

    /// The listing is complete: what it didn't contain is gone.
    pub fn finish_listing(&mut self) -> Vec<Change<G>> {
        let Some(listed) = self.listing.take() else { return Vec::new() };
        let gone: Vec<Key> = self.entries.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.iter().filter_map(|key| self.remove(key, u64::MAX)).collect()
    }

    /// What is known of an object.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        self.entries.get(key).map(|entry| Arc::clone(&entry.value))
    }

    /// All objects, with their groups.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Option<&G>, &Arc<V>)> {
        self.entries.iter().map(|(key, entry)| (key, entry.group.as_ref(), &entry.value))
    }

    /// The objects of a group, by name.
    pub fn members(&self, group: &G) -> impl Iterator<Item = (&Key, &Arc<V>)> {
        let keys = self.groups.get(group).into_iter().flatten();
        keys.filter_map(|key| self.entries.get(key).map(|entry| (key, &entry.value)))
    }

    fn leave(&mut self, group: Option<&G>, key: &Key) {
        let Some(group) = group else { return };
        if let Some(members) = self.groups.get_mut(group) {
            members.remove(key);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "n".into(), name: name.into() }
    }

    fn members(table: &Table<&'static str, i32>, group: &'static str) -> Vec<String> {
        table.members(&group).map(|(key, _)| key.name.clone()).collect()
    }

    #[test]
    fn an_event_older_than_what_we_wrote_is_ignored() {
        let mut table = Table::<&str, i32>::default();
        table.insert(key("a"), Some("g"), 10, 1);
        assert_eq!(table.insert(key("a"), Some("g"), 9, 0), None);
        assert_eq!(table.remove(&key("a"), 9), None);
        assert_eq!(table.get(&key("a")).as_deref(), Some(&1));
        assert!(table.remove(&key("a"), 11).is_some());
        assert_eq!(table.get(&key("a")), None);
    }

    #[test]
    fn only_a_change_of_meaning_is_a_change() {
        let mut table = Table::<&str, i32>::default();
        assert!(table.insert(key("a"), Some("g"), 1, 1).is_some());
        assert_eq!(table.insert(key("a"), Some("g"), 2, 1), None);
        assert_eq!(table.insert(key("a"), Some("g"), 1, 5), None, "version 2 has been seen");
    }

    #[test]
    fn a_move_concerns_both_groups() {
        let mut table = Table::<&str, i32>::default();
        table.insert(key("a"), Some("old"), 1, 1);
        let change = table.insert(key("a"), Some("new"), 2, 1).unwrap();
        assert_eq!(change.groups, ["new", "old"]);
        assert_eq!((members(&table, "old"), members(&table, "new")), (vec![], vec!["a".to_owned()]));
    }

    #[test]
    fn a_listing_removes_what_it_does_not_contain() {
        let mut table = Table::<&str, i32>::default();
        table.insert(key("gone"), Some("g"), 7, 1);
        table.insert(key("kept"), Some("g"), 3, 1);
        table.begin_listing();
        assert_eq!(table.insert(key("kept"), Some("g"), 3, 1), None);
        let changes = table.finish_listing();
        assert_eq!(changes, [Change { key: key("gone"), groups: vec!["g"] }]);
        assert_eq!(members(&table, "g"), ["kept"]);
        assert!(table.finish_listing().is_empty(), "no listing, nothing to remove");
    }
}
