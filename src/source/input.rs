//! What the command line named as the input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::csv::CsvFile;
use super::dialect::Dialect;
use super::error::SourceError;
use super::fingerprint::{self, Fingerprint, Stamp};
use super::spool::Spool;

const STDIN: &str = "standard input";

/// A file of rows, which can be read more than once.
#[derive(Debug, Clone)]
pub struct Input {
    path: PathBuf,
    name: String,
    arguments: Vec<String>,
    dialect: Dialect,
    /// Known already where the input was copied.
    fingerprint: Option<Fingerprint>,
}

impl Input {
    /// A file of the operator's. Nothing is read yet.
    pub fn file(path: &Path) -> Self {
        let name = path.display().to_string();
        let arguments = vec!["--csv".to_owned(), name.clone()];
        Self { path: path.to_owned(), name, arguments, dialect: Dialect::default(), fingerprint: None }
    }

    /// Standard input, copied to the end to a new file at `spool`, which only the owner may read and which
    /// is on the disk when this returns.
    pub fn stdin(spool: &Path) -> Result<Self, SourceError> {
        Self::spooled(&mut io::stdin().lock(), spool)
    }

    /// Copies rows that can be read only once to a new file at `spool`.
    pub fn spooled(from: &mut impl Read, spool: &Path) -> Result<Self, SourceError> {
        Self::spooled_as(from, spool, STDIN)
    }

    fn spooled_as(from: &mut impl Read, spool: &Path, name: &str) -> Result<Self, SourceError> {
        let failed =
            |error| SourceError::Spool { name: name.to_owned(), spool: spool.display().to_string(), error };
        let mut file = Spool::create(spool).map_err(failed)?;
        let kept = io::copy(from, &mut file).and_then(|_| file.finish());
        kept.map(|found| Self::kept(spool, Some(found))).map_err(failed)
    }

    /// A copy at `spool` of a file of the operator's, which is called what he calls the file.
    pub fn copied(from: &Path, spool: &Path) -> Result<Self, SourceError> {
        let name = from.display().to_string();
        let unreadable = |error| SourceError::Unreadable { name: name.clone(), error };
        // Asked before opening: to open a named pipe would wait for a writer.
        if !std::fs::metadata(from).map_err(unreadable)?.is_file() {
            return Err(SourceError::NotAFile { name });
        }
        Self::copied_through(&mut File::open(from).map_err(unreadable)?, from, spool)
    }

    /// Copies a file that is read through this reader.
    fn copied_through(file: &mut impl Read, from: &Path, spool: &Path) -> Result<Self, SourceError> {
        let name = from.display().to_string();
        let stamp = || Stamp::of(from).map_err(|error| SourceError::Unreadable { name: name.clone(), error });
        let before = stamp()?;
        let copy = Self::spooled_as(file, spool, &name)?;
        // Else the copy may be half of one export and half of the next.
        if stamp()? != before {
            return Err(SourceError::Changed { name });
        }
        Ok(Self { fingerprint: copy.fingerprint, ..Self::copy(from, spool) })
    }

    /// The copy at `spool` of a file of the operator's.
    pub fn copy(of: &Path, spool: &Path) -> Self {
        Self { path: spool.to_owned(), ..Self::file(of) }
    }

    /// The rows of the source of this name, kept at `spool`; `arguments` ask for them again.
    pub fn of_source(
        name: &str,
        spool: &Path,
        fingerprint: Option<Fingerprint>,
        arguments: Vec<String>,
    ) -> Self {
        Self { name: name.to_owned(), arguments, ..Self::kept(spool, fingerprint) }
    }

    /// Standard input of an earlier run, from the spool file that it left.
    pub fn kept(spool: &Path, fingerprint: Option<Fingerprint>) -> Self {
        let name = STDIN.to_owned();
        Self { path: spool.to_owned(), name, arguments: Vec::new(), dialect: Dialect::default(), fingerprint }
    }

    /// The same, read in this way.
    #[must_use]
    pub fn read_as(mut self, dialect: Dialect) -> Self {
        if let (Some(delimiter), false) = (dialect.delimiter, self.arguments.is_empty()) {
            self.arguments.extend(["--delimiter".to_owned(), char::from(delimiter).to_string()]);
        }
        Self { dialect, ..self }
    }

    /// How it is read.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What the operator calls the input.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The arguments that name the input; none for standard input, which cannot be read again.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The file that holds the rows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The input's content; reads the whole file unless that was done when it was copied.
    pub fn fingerprint(&self) -> Result<Fingerprint, SourceError> {
        match &self.fingerprint {
            Some(known) => Ok(known.clone()),
            None => fingerprint::fingerprint(&self.path)
                .map_err(|error| SourceError::Unreadable { name: self.name.clone(), error }),
        }
    }

    /// Opens it as CSV.
    pub fn open(&self) -> Result<CsvFile, SourceError> {
        CsvFile::open_as(&self.path, &self.name, self.dialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_can_be_read_once_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("input.csv");
        let input = Input::spooled(&mut &b"a,b\n1,2\n"[..], &spool).unwrap();
        assert_eq!(fs::read(&spool).unwrap(), b"a,b\n1,2\n");
        assert_eq!(input.fingerprint().unwrap(), fingerprint::fingerprint(&spool).unwrap());
        assert_eq!(input.open().unwrap().rows().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&spool).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // A second run may not write over it.
        assert!(matches!(Input::spooled(&mut &b""[..], &spool), Err(SourceError::Spool { .. })));
        assert_eq!(fs::read(&spool).unwrap(), b"a,b\n1,2\n");
    }

    #[test]
    fn a_copy_is_called_what_it_is_a_copy_of() {
        let folder = tempfile::tempdir().unwrap();
        let (from, spool) = (folder.path().join("a.csv"), folder.path().join("input.csv"));
        fs::write(&from, "a,b\n1,2\n").unwrap();
        let input = Input::copied(&from, &spool).unwrap();
        assert_eq!((input.path(), input.name()), (spool.as_path(), &*from.display().to_string()));
        assert_eq!(input.fingerprint().unwrap(), fingerprint::fingerprint(&from).unwrap());
        let missing = Input::copied(&folder.path().join("none"), &folder.path().join("x")).unwrap_err();
        assert!(missing.is_access() && missing.to_string().contains("none"), "{missing}");
        assert!(matches!(
            Input::copied(folder.path(), &folder.path().join("x")),
            Err(SourceError::NotAFile { .. })
        ));
    }

    #[test]
    fn an_export_that_is_written_while_it_is_copied_is_refused() {
        struct Growing<'a>(File, &'a Path);
        impl Read for Growing<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let read = self.0.read(buffer)?;
                if read > 0 {
                    fs::write(self.1, "another\nexport\n")?;
                }
                Ok(read)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("a.csv");
        fs::write(&from, "a,b\n1,2\n").unwrap();
        let mut growing = Growing(File::open(&from).unwrap(), &from);
        let copied = Input::copied_through(&mut growing, &from, &folder.path().join("input.csv"));
        assert!(matches!(copied, Err(SourceError::Changed { .. })));
    }

    #[test]
    fn half_an_input_is_not_kept() {
        struct Breaks;
        impl Read for Breaks {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("input.csv");
        let error = Input::spooled(&mut (&b"a,b\n"[..]).chain(Breaks), &spool).unwrap_err();
        assert!(error.is_access() && error.to_string().ends_with("gone"));
        assert!(!spool.exists());
    }

    #[test]
    fn errors_call_the_input_what_the_operator_calls_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Input::file(folder.path()).open().err().unwrap();
        assert!(matches!(error, SourceError::NotAFile { .. }));
        let missing = Input::kept(&folder.path().join("none"), None).open().err().unwrap().to_string();
        assert!(missing.starts_with("cannot read standard input: "), "{missing}");
    }
}
