//! What a workload wrote to the meta log, and what a log may therefore say: how far its consumers
//! came, and what its kinds are called.

use std::collections::BTreeMap;

use annals_core::{EventKind, Host, Log, Storage, StoreError};

/// What a meta log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The last sequence that each consumer is done with.
    pub consumers: BTreeMap<String, Option<u64>>,
    /// The names of kinds.
    pub kinds: BTreeMap<EventKind, String>,
}

impl Said {
    /// Asks a log.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn by<S: Storage, H: Host>(log: &Log<S, H>) -> Result<Self, StoreError> {
        let mut said = Said::default();
        for name in log.consumer_names() {
            let checkpoint = log.consumer_checkpoint(name)?;
            let after = checkpoint.and_then(|checkpoint| checkpoint.after);
            said.consumers.insert(name.to_owned(), after.map(|sequence| sequence.get()));
        }
        let kinds = log.reader().kind_names().into_iter();
        said.kinds = kinds.map(|(kind, name)| (kind, name.to_string())).collect();
        Ok(said)
    }
}

/// See the module. What is possible, the oldest first.
#[derive(Clone, Debug)]
pub struct Notes {
    possible: Vec<Said>,
    /// Which of them is seen.
    visible: usize,
}

impl Default for Notes {
    fn default() -> Self {
        Notes { possible: vec![Said::default()], visible: 0 }
    }
}

impl Notes {
    /// What is seen while nothing crashes.
    #[must_use]
    pub fn visible(&self) -> &Said {
        &self.possible[self.visible]
    }

    /// Writes down what is about to be tried.
    pub fn begin(&mut self, change: impl FnOnce(&mut Said)) {
        let mut next = self.visible().clone();
        change(&mut next);
        self.possible.push(next);
    }

    /// It was done.
    pub fn done(&mut self, durable: bool) {
        self.visible = self.possible.len() - 1;
        if durable {
            self.synced();
        }
    }

    /// What is seen is on stable storage.
    pub fn synced(&mut self) {
        self.possible = vec![self.visible().clone()];
        self.visible = 0;
    }

    /// The store was opened and says this.
    pub fn reopened(&mut self, said: Said) {
        self.possible.push(said);
        self.visible = self.possible.len() - 1;
    }

    /// Says what is wrong where a log that was found after a crash may not say that.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub fn allow(&self, said: &Said, process_only: bool) -> Result<(), String> {
        let oldest = if process_only { self.visible } else { 0 };
        if self.possible[oldest..].contains(said) {
            return Ok(());
        }
        Err(format!("the meta log says {said:?}, and may say {:?}", &self.possible[oldest..]))
    }
}
