//! Host names that rules compare addresses with (`fd.sip.name` and its kin), and the addresses they stand for.
//!
//! Nothing is looked up on the way of an event: whoever knows the rules resolves the names they mention beside it, and the
//! event thread finds an address's names in what came of that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The names of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressNames(HashMap<IpAddr, Vec<Box<str>>>);

impl AddressNames {
    /// Notes that `name` stands for `address`.
    pub fn insert(&mut self, address: IpAddr, name: &str) {
        let names = self.0.entry(address.to_canonical()).or_default();
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }

    /// The names of an address, as the rules write them; nothing when it has none.
    pub fn of(&self, address: IpAddr) -> &[Box<str>] {
        self.0.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Every address with each of its names.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.0
            .iter()
            .flat_map(|(address, names)| names.iter().map(|name| (*address, &**name)))
    }

    /// True when no address has a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// [`AddressNames`], handed from whoever resolves them to the event thread. That looks at it now and then, not per event.
#[derive(Debug, Default)]
pub struct HostNames(Mutex<Arc<AddressNames>>);

impl HostNames {
    /// Replaces what is known.
    pub fn replace(&self, names: AddressNames) {
        // A writer that panicked left the old, complete table in place: poisoning means nothing here.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<AddressNames> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_every_name_that_stands_for_it_once() {
        let mut names = AddressNames::default();
        assert!(names.is_empty());
        let address = "10.0.0.1".parse().unwrap();
        names.insert(address, "a");
        names.insert(address, "b");
        names.insert("::ffff:10.0.0.1".parse().unwrap(), "a");
        let table = HostNames::default();
        table.replace(names);
        assert_eq!(table.snapshot().of(address), ["a".into(), "b".into()]);
        assert!(table.snapshot().of("10.0.0.2".parse().unwrap()).is_empty());
    }
}
