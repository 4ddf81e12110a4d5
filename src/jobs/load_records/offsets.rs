//! Ranges of offsets, by which slices of Kafka go.

use serde::{Deserialize, Serialize};

/// The messages of a partition that a run takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offsets {
    /// The cluster, as its brokers call it.
    pub cluster: String,
    /// The topic.
    pub topic: String,
    /// The number of its partition.
    pub partition: i64,
    /// The first offset.
    pub from: i64,
    /// The first offset after them.
    pub to: i64,
}

impl Offsets {
    /// How many offsets there are: as many messages, or less where some are gone or were never shown.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.to.saturating_sub(self.from)).unwrap_or_default()
    }

    /// For people: the end excluded, if there is one.
    pub(super) fn name(&self) -> String {
        if self.to == i64::MAX {
            return format!("{}/{} {}..", self.topic, self.partition, self.from);
        }
        format!("{}/{} {}..{}", self.topic, self.partition, self.from, self.to)
    }
}
