//! The `report.html` of a run as it is sent.

use crate::files;
use axum::body::{Body, Bytes};
use futures_util::stream;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A part of a report that is read at once, in bytes.
const PART: u64 = 64 << 10;

/// Opens a file that is no link, and says how long it is.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let named = std::fs::symlink_metadata(path)?;
    if !named.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = File::open(path)?;
    let data = file.metadata()?;
    // Not one that was put in its place meanwhile.
    if !data.is_file() || files::Identity::of(&data) != files::Identity::of(&named) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, data.len()))
}

/// A file's content, read part by part as it is sent.
pub(super) fn parts(file: File, length: u64) -> Body {
    Body::from_stream(stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut part = Vec::new();
            (&mut file).take(left.min(PART)).read_to_end(&mut part).map(|_| (part, file))
        };
        let (part, file) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        if part.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let left = left.saturating_sub(part.len() as u64);
        Ok::<_, io::Error>(Some((Bytes::from(part), (file, left))))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_no_report() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(open(&file).unwrap().1, 3);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&file, &link).unwrap();
            open(&link).unwrap_err();
        }
        open(folder.path()).unwrap_err();
        open(&folder.path().join("none")).unwrap_err();
    }
}
