//! `artifacts.*`: files that hang on works, contacts and timeline entries.

use super::operation::{Operation, Safety};
use crate::net::lenient;
use serde::{Deserialize, Serialize};

/// A file as other objects show it (schema `artifact-summary`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArtifactSummary {
    /// The artifact's DON; empty where DevRev does not name it.
    #[serde(default)]
    pub id: String,
    /// The file itself.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub file: Option<ArtifactFile>,
}

/// Schema `artifact-file-summary`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArtifactFile {
    /// The file's name, as anyone who uploaded it chose.
    #[serde(default, deserialize_with = "lenient::word")]
    pub name: Option<String>,
    /// Its size in bytes. A file of 2 GiB and more does not fit into the schema's `int32`: what is negative says
    /// nothing.
    #[serde(default, deserialize_with = "lenient::maybe")]
    pub size: Option<i64>,
}

impl ArtifactSummary {
    /// The file's name, or the artifact's ID for want of one.
    pub(crate) fn name(&self) -> &str {
        let name = self.file.as_ref().and_then(|file| file.name.as_deref());
        name.filter(|name| !name.trim().is_empty()).unwrap_or(&self.id)
    }

    /// The size that DevRev says, in bytes.
    pub(crate) fn size(&self) -> Option<u64> {
        self.file.as_ref()?.size.and_then(|size| u64::try_from(size).ok())
    }
}

/// `artifacts.locate`: where a file can be downloaded for a while.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ArtifactsLocate {
    /// The artifact's ID.
    pub id: String,
}

/// The answer: a URL on another host, to which the token must not be sent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ArtifactsLocateAnswer {
    /// The URL. Anyone who has it can read the file: not to be shown.
    pub url: String,
}

impl Operation for ArtifactsLocate {
    const ENDPOINT: &'static str = "artifacts.locate";
    const SAFETY: Safety = Safety::Read;
    type Answer = ArtifactsLocateAnswer;
}
