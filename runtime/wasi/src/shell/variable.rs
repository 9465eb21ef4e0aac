//! Variables: text, arrays, attributes, and what a function's locals hide.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Buckets of bash's associative arrays: their order is what `${!a[@]}` shows.
const BUCKETS: u32 = 1024;

/// What a variable holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Value {
    /// Declared, but not set.
    #[default]
    Unset,
    Text(Vec<u8>),
    Array(BTreeMap<i64, Vec<u8>>),
    Map(Map),
}

/// An associative array, in the order in which bash shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Map(
    BTreeMap<(u32, std::cmp::Reverse<u64>), (Vec<u8>, Vec<u8>)>,
    HashMap<Vec<u8>, u64>,
    u64,
);

impl Map {
    fn bucket(key: &[u8]) -> u32 {
        let hash = key.iter().fold(2_166_136_261u32, |h, b| h.wrapping_mul(16_777_619) ^ u32::from(*b));
        hash & (BUCKETS - 1)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let age = *self.1.get(key)?;
        self.0.get(&(Map::bucket(key), std::cmp::Reverse(age))).map(|(_, value)| value)
    }

    /// Sets a key.
    pub(crate) fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let bucket = Map::bucket(&key);
        let age = *self.1.entry(key.clone()).or_insert_with(|| {
            self.2 += 1;
            self.2
        });
        self.0.insert((bucket, std::cmp::Reverse(age)), (key, value));
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(age) = self.1.remove(key) {
            self.0.remove(&(Map::bucket(key), std::cmp::Reverse(age)));
        }
    }

    /// Keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.0.values().map(|(key, value)| (key, value))
    }
}

/// A variable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    pub value: Value,
    pub exported: bool,
    pub readonly: bool,
    pub integer: bool,
    pub lower: bool,
    pub upper: bool,
    pub reference: bool,
}

impl Variable {
    /// An ordinary variable.
    pub(crate) fn text(value: impl Into<Vec<u8>>) -> Variable {
        Variable { value: Value::Text(value.into()), ..Variable::default() }
    }

    /// What `$x` is.
    pub(crate) fn scalar(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Unset => None,
            Value::Text(text) => Some(text),
            Value::Array(array) => array.get(&0).map(Vec::as_slice),
            Value::Map(map) => map.get(b"0").map(Vec::as_slice),
        }
    }

    /// All values.
    pub(crate) fn values(&self) -> Vec<Vec<u8>> {
        match &self.value {
            Value::Unset => Vec::new(),
            Value::Text(text) => vec![text.clone()],
            Value::Array(array) => array.values().cloned().collect(),
            Value::Map(map) => map.iter().map(|(_, v)| v.clone()).collect(),
        }
    }

    /// All subscripts.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        match &self.value {
            Value::Unset => Vec::new(),
            Value::Text(_) => vec![b"0".to_vec()],
            Value::Array(array) => array.keys().map(|k| k.to_string().into_bytes()).collect(),
            Value::Map(map) => map.iter().map(|(k, _)| k.clone()).collect(),
        }
    }

    /// The letters of its attributes, as `declare -p` shows them.
    pub(crate) fn letters(&self) -> String {
        let mut letters = String::new();
        let flags = [
            (matches!(self.value, Value::Array(_)), 'a'),
            (matches!(self.value, Value::Map(_)), 'A'),
            (self.integer, 'i'),
            (self.lower, 'l'),
            (self.reference, 'n'),
            (self.readonly, 'r'),
            (self.upper, 'u'),
            (self.exported, 'x'),
        ];
        letters.extend(flags.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
        letters
    }

    /// Bytes that it holds.
    pub(crate) fn size(&self) -> usize {
        const ENTRY: usize = 64;
        match &self.value {
            Value::Unset => 0,
            Value::Text(text) => text.len(),
            Value::Array(array) => array.values().map(|v| v.len() + ENTRY).sum(),
            Value::Map(map) => map.iter().map(|(k, v)| k.len() + v.len() + 2 * ENTRY).sum(),
        }
    }
}

/// All variables of a shell. Clones share them until one writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    all: Arc<HashMap<Vec<u8>, Variable>>,
    /// For each function that runs: what its locals hide.
    hidden: Vec<Vec<(Vec<u8>, Option<Variable>)>>,
}

impl Variables {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Variable> {
        self.all.get(name)
    }

    pub(crate) fn entry(&mut self, name: &[u8]) -> &mut Variable {
        let all = Arc::make_mut(&mut self.all);
        if !all.contains_key(name) {
            all.insert(name.to_vec(), Variable::default());
        }
        all.get_mut(name).expect("it was just put there")
    }

    pub(crate) fn put(&mut self, name: &[u8], variable: Variable) {
        Arc::make_mut(&mut self.all).insert(name.to_vec(), variable);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if self.all.contains_key(name) {
            Arc::make_mut(&mut self.all).remove(name);
        }
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = self.all.keys().cloned().collect();
        names.sort();
        names
    }

    /// A function begins.
    pub(crate) fn enter(&mut self) {
        self.hidden.push(Vec::new());
    }

    /// A function ends: its locals are gone.
    pub(crate) fn leave(&mut self) {
        for (name, before) in self.hidden.pop().unwrap_or_default().into_iter().rev() {
            match before {
                Some(variable) => self.put(&name, variable),
                None => self.remove(&name),
            }
        }
    }

    /// Whether a function runs.
    pub(crate) fn in_function(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Whether the function that runs has a local of this name.
    pub(crate) fn is_local(&self, name: &[u8]) -> bool {
        self.hidden.last().is_some_and(|frame| frame.iter().any(|(n, _)| n == name))
    }

    /// Makes a local of the function that runs; an attribute to export stays.
    pub(crate) fn make_local(&mut self, name: &[u8], inherit: bool) {
        if self.is_local(name) {
            return;
        }
        let before = self.all.get(name).cloned();
        let exported = before.as_ref().is_some_and(|v| v.exported);
        let local = match &before {
            Some(variable) if inherit => variable.clone(),
            _ => Variable { exported, ..Variable::default() },
        };
        if let Some(frame) = self.hidden.last_mut() {
            frame.push((name.to_vec(), before));
        }
        self.put(name, local);
    }

    /// The environment of a command.
    pub(crate) fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = self
            .all
            .iter()
            .filter(|(_, v)| v.exported)
            .filter_map(|(name, v)| Some((name.clone(), v.scalar()?.to_vec())))
            .collect();
        // As bash goes through its table.
        found.sort_by_cached_key(|(name, _)| (Map::bucket(name), name.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_hides_and_gives_back() {
        let mut variables = Variables::default();
        variables.put(b"x", Variable::text("outer"));
        variables.enter();
        variables.make_local(b"x", false);
        assert_eq!(variables.get(b"x").unwrap().value, Value::Unset);
        variables.leave();
        assert_eq!(variables.get(b"x").unwrap().scalar(), Some(&b"outer"[..]));
    }
}
