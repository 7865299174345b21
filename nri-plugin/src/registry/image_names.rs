//! What the names of CRI's images mean: kept from one container to the next, for as long as containerd says when one changes.
//!
//! The runtime takes the image of a container that it creates from what it keeps itself, and learns of a change by the same
//! events.

use std::collections::HashMap;

use super::Registry;

/// Names that are kept, at most.
const NAMES: usize = 1024;

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) digest: String,
    /// The image's id, where its content tells.
    pub(super) id: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ImageNames {
    known: HashMap<String, Meaning>,
    /// False while nobody says that a name means another image.
    are_followed: bool,
    /// How often one may have come to mean another.
    changes: u64,
}

impl ImageNames {
    pub(super) fn get(&self, name: &str) -> Option<&Meaning> {
        self.known.get(name)
    }
}

impl Registry {
    /// From here on it is said when a name may mean another image than before.
    pub(crate) fn follow_image_names(&mut self) {
        self.image_names.are_followed = true;
    }

    /// From here on it is not.
    pub(crate) fn unfollow_image_names(&mut self) {
        let names = &mut self.image_names;
        names.known.clear();
        names.are_followed = false;
        names.changes += 1;
    }

    /// A name may mean another image than before, or any where it isn't said which.
    pub(crate) fn image_name_changed(&mut self, name: Option<&str>) {
        let names = &mut self.image_names;
        match name {
            Some(name) => drop(names.known.remove(name)),
            None => names.known.clear(),
        }
        names.changes += 1;
    }

    /// For whoever asks what a name means: the answer counts as long as this number stays. `None` when it is not to be kept.
    pub(crate) fn image_name_changes(&self) -> Option<u64> {
        self.image_names.are_followed.then_some(self.image_names.changes)
    }

    /// The answer, and the number from before it was asked for.
    pub(crate) fn image_name_means(
        &mut self,
        name: String,
        digest: String,
        id: Option<String>,
        changes: u64,
    ) {
        if self.image_name_changes() != Some(changes) {
            return;
        }
        let known = &mut self.image_names.known;
        if known.len() >= NAMES {
            known.clear();
        }
        known.insert(name, Meaning { digest, id });
    }
}
