//! A map that can be looked into and has no order, so nothing can come to depend on one (invariant
//! 10). It is for what is asked many times an event among tens of thousands of keys, where a tree
//! costs a miss of the cache a level.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::ops::Index;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

#[derive(Debug)]
pub(crate) struct Lookup<K, V> {
    table: HashTable<(K, V)>,
    hasher: FixedState,
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    /// An empty one. Keys may come from outside: whoever makes them must not know the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.table.find(self.hasher.hash_one(key), |(known, _)| known.borrow() == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.table.find_mut(self.hasher.hash_one(key), |(known, _)| known.borrow() == key).map(|(_, value)| value)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Puts a value in; gives the one that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        let hasher = &self.hasher;
        match self.table.entry(hash, |(known, _)| *known == key, |(known, _)| hasher.hash_one(known)) {
            Entry::Occupied(mut occupied) => Some(core::mem::replace(&mut occupied.get_mut().1, value)),
            Entry::Vacant(vacant) => {
                vacant.insert((key, value));
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let found = self.table.find_entry(self.hasher.hash_one(key), |(known, _)| known == key).ok()?;
        let ((_, value), _) = found.remove();
        Some(value)
    }

    /// Does the same to each value, in no order: what is done to one must not depend on another.
    pub(crate) fn each(&mut self, act: impl FnMut(&mut V)) {
        self.table.iter_mut().map(|(_, value)| value).for_each(act);
    }

    /// A sum over all values.
    pub(crate) fn sum(&self, of: impl Fn(&V) -> usize) -> usize {
        self.table.iter().map(|(_, value)| of(value)).sum()
    }
}

impl<K: Eq + Hash, V> Index<&K> for Lookup<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("the key is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would(steps in prop::collection::vec((0u8..3, 0u16..40, any::<u8>()), 0..200)) {
            let mut lookup = Lookup::new(7);
            let mut tree = BTreeMap::new();
            for (what, key, value) in steps {
                match what {
                    0 => prop_assert_eq!(lookup.insert(key, value), tree.insert(key, value)),
                    1 => prop_assert_eq!(lookup.remove(&key), tree.remove(&key)),
                    _ => prop_assert_eq!(lookup.get(&key), tree.get(&key)),
                }
                prop_assert_eq!(lookup.len(), tree.len());
            }
            prop_assert_eq!(lookup.sum(|value| usize::from(*value)), tree.values().map(|v| usize::from(*v)).sum());
        }
    }
}
