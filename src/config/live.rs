//! A configuration that can be replaced while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use super::Config;

/// The configuration that holds now. It is cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct Live(Arc<RwLock<Arc<Config>>>);

// === impl Live ===

impl Live {
    /// Begins with this one.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The one that holds now.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets another one hold.
    pub fn set(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}
