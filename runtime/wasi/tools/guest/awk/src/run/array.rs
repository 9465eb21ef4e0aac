//! Arrays: values by key, in the order of their making.

use crate::value::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// An array: values by key, each with its place in the order of making.
#[derive(Default)]
pub(super) struct Array {
    pub(super) values: HashMap<Rc<[u8]>, (u64, Value)>,
    pub(super) next: u64,
}

impl Array {
    pub(super) fn get(&mut self, key: &Rc<[u8]>) -> Value {
        if let Some((_, value)) = self.values.get(key) {
            return value.clone();
        }
        self.set(key.clone(), Value::None);
        Value::None
    }

    pub(super) fn set(&mut self, key: Rc<[u8]>, value: Value) {
        if let Some(found) = self.values.get_mut(&key) {
            found.1 = value;
            return;
        }
        self.next += 1;
        self.values.insert(key, (self.next, value));
    }

    pub(super) fn keys(&self) -> Vec<Rc<[u8]>> {
        let mut keys: Vec<(&u64, &Rc<[u8]>)> =
            self.values.iter().map(|(key, (place, _))| (place, key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key.clone()).collect()
    }
}

pub(super) type Shared = Rc<RefCell<Array>>;

#[derive(Clone, Default)]
pub(super) enum Cell {
    #[default]
    Unset,
    Value(Value),
    Array(Shared),
}
