//! The registry: every definition that this release can carry on, old versions among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::Definition;

/// Definitions by name and version.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<BTreeMap<(String, u16), Arc<Definition>>>);

impl Registry {
    /// All of these.
    ///
    /// # Errors
    /// When one of them is wrong, or two are one.
    pub fn new(definitions: impl IntoIterator<Item = Definition>) -> Result<Self, String> {
        let mut known = BTreeMap::new();
        for definition in definitions {
            definition.check()?;
            let key = (definition.name.to_owned(), definition.version);
            if let Some(twice) = known.insert(key, Arc::new(definition)) {
                let (name, version) = (twice.name, twice.version);
                return Err(format!("saga definition `{name}` has two versions {version}"));
            }
        }
        Ok(Self(Arc::new(known)))
    }

    /// This version of a definition.
    #[must_use]
    pub fn find(&self, name: &str, version: u16) -> Option<Arc<Definition>> {
        self.0.get(&(name.to_owned(), version)).cloned()
    }

    /// The version under which new sagas begin.
    #[must_use]
    pub fn newest(&self, name: &str) -> Option<Arc<Definition>> {
        let versions = (name.to_owned(), 0)..=(name.to_owned(), u16::MAX);
        self.0.range(versions).next_back().map(|(_, definition)| Arc::clone(definition))
    }

    /// The names, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }

    /// Every definition in every version.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.0.values()
    }
}
