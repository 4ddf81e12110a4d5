//! The artifacts, and the URLs that lead to them: signed, and good for a while only.

use super::content::artifact_content;
use super::format::Artifact as Record;
use axum::body::Bytes;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// All artifacts, by number.
pub(super) struct Artifacts {
    all: FxHashMap<u32, Artifact>,
    /// How long a URL is good, in milliseconds.
    url_ttl: u64,
    /// Where they are served, once they are.
    addr: Option<SocketAddr>,
    /// What signatures are made with: another sandbox does not accept them.
    secret: [u8; 32],
}

/// A file.
pub(super) struct Artifact {
    pub(super) number: u32,
    pub(super) name: Box<str>,
    /// In bytes.
    pub(super) size: u64,
    /// What the API says of the size.
    pub(super) stated_size: u64,
    pub(super) r#type: Box<str>,
    /// Bytes that are not made from the number.
    content: Option<Bytes>,
}

/// Why a URL does not lead to an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadUrl {
    /// It was not made here, or was changed.
    Signature,
    /// It was good until a while ago.
    Expired,
}

impl Artifacts {
    /// Takes a data file's artifacts over; an error says which number appears twice.
    pub(super) fn build(records: Vec<Record>, url_ttl: u64) -> Result<Self, String> {
        let mut all = FxHashMap::default();
        for record in records {
            let Record { number, name, size, content, stated_size, r#type } = record;
            let content = content.map(|content| Bytes::from(content.into_string()));
            let size = match (&content, size) {
                (Some(content), None) => content.len() as u64,
                (None, Some(size)) => size,
                (Some(_), Some(_)) | (None, None) => {
                    return Err(format!("ARTIFACT-{number}: give one of size and content"));
                }
            };
            let stated_size = stated_size.unwrap_or(size);
            let artifact = Artifact { number, name, size, stated_size, r#type, content };
            if all.insert(number, artifact).is_some() {
                return Err(format!("artifacts: ARTIFACT-{number} appears twice"));
            }
        }
        Ok(Self { all, url_ttl, addr: None, secret: rand::random() })
    }

    pub(super) fn get(&self, number: u32) -> Option<&Artifact> {
        self.all.get(&number)
    }

    /// Says where the artifacts are served.
    pub(super) fn serve_at(&mut self, addr: SocketAddr) {
        self.addr = Some(addr);
    }

    /// A URL for an artifact, and until when it is good, in milliseconds since the epoch.
    pub(super) fn url(&self, number: u32, now: u64) -> (String, u64) {
        let expires = now.saturating_add(self.url_ttl);
        let addr = self.addr.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let signature = self.signature(number, expires);
        let url = format!("http://{addr}/artifact/{number}?expires={expires}&signature={signature}");
        (url, expires)
    }

    /// The artifact that a URL's path and query lead to.
    pub(super) fn at_url(&self, path: &str, query: &str, now: u64) -> Result<&Artifact, BadUrl> {
        let member = |name: &str| {
            let mut members = query.split('&').filter_map(|member| member.split_once('='));
            members.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let number = path.strip_prefix("/artifact/").and_then(|number| number.parse().ok());
        let expires = member("expires").and_then(|expires| expires.parse().ok());
        let (Some(number), Some(expires), Some(signature)) = (number, expires, member("signature")) else {
            return Err(BadUrl::Signature);
        };
        if self.signature(number, expires) != signature {
            return Err(BadUrl::Signature);
        }
        if expires <= now {
            return Err(BadUrl::Expired);
        }
        self.get(number).ok_or(BadUrl::Signature)
    }

    fn signature(&self, number: u32, expires: u64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(number.to_le_bytes());
        hash.update(expires.to_le_bytes());
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl Artifact {
    /// The bytes, in chunks.
    pub(super) fn chunks(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match &self.content {
            Some(content) => Box::new(std::iter::once(content.clone()).filter(|content| !content.is_empty())),
            None => Box::new(artifact_content(self.number, self.size).map(Bytes::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_good_unchanged_and_for_a_while() {
        let record = |number: u32| {
            serde_json::from_value(serde_json::json!({"number": number, "name": "", "size": 1}))
        };
        let records = vec![record(1).unwrap(), record(2).unwrap()];
        let artifacts = Artifacts::build(records, 50).unwrap();
        let (url, expires) = artifacts.url(1, 1_000);
        assert_eq!(expires, 1_050);
        let (path, query) = url.strip_prefix("http://127.0.0.1:0").unwrap().split_once('?').unwrap();
        let at =
            |path: &str, query: &str, now| artifacts.at_url(path, query, now).map(|artifact| artifact.number);
        assert_eq!(at(path, query, 1_049), Ok(1));
        assert_eq!(at(path, query, 1_050), Err(BadUrl::Expired));
        assert_eq!(at("/artifact/2", query, 1_000), Err(BadUrl::Signature));
        assert_eq!(at(path, &query.replace("1050", "9050"), 1_000), Err(BadUrl::Signature));
        assert_eq!(at(path, "", 1_000), Err(BadUrl::Signature));
    }
}
