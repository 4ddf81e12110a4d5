//! A JSON array of objects that arrives in pieces: cut into its objects, of which one is in memory at a time.

/// The longest object, in bytes. A row of it is no longer than 1 MiB, but JSON may write it in more.
const MAX_OBJECT: usize = 8 << 20;

/// Why bytes are no array of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArrayError {
    /// It begins with something else.
    #[error("it is not a JSON array")]
    NoArray,
    /// Something else than an object is in it.
    #[error("its JSON array holds something that is not an object")]
    NoObject,
    /// Something follows it.
    #[error("something follows its JSON array")]
    Surplus,
    /// An object is too long.
    #[error("an object in its JSON array is longer than 8 MiB")]
    TooLong,
    /// The end is missing.
    #[error("its JSON array is cut off")]
    CutOff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Begin,
    Between,
    /// In an object, below so many open braces and brackets.
    In {
        depth: usize,
        string: bool,
        escaped: bool,
    },
    End,
}

/// The array as far as it has come.
#[derive(Debug)]
pub(super) struct JsonArray {
    at: At,
    /// The beginning of an object whose end has not come yet.
    held: Vec<u8>,
}

impl JsonArray {
    pub(super) fn new() -> Self {
        Self { at: At::Begin, held: Vec::new() }
    }

    /// Takes the next bytes, and hands over the objects that end in them. `take` says whether to go on; what it leaves
    /// is left.
    pub(super) fn feed<E: From<ArrayError>>(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let mut begin = 0;
        for (place, byte) in bytes.iter().copied().enumerate() {
            let is_blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            self.at = match self.at {
                At::Begin | At::Between | At::End if is_blank => self.at,
                At::Begin if byte == b'[' => At::Between,
                At::Begin => return Err(ArrayError::NoArray.into()),
                At::Between => match byte {
                    b',' => At::Between,
                    b']' => At::End,
                    b'{' => {
                        begin = place;
                        At::In { depth: 1, string: false, escaped: false }
                    }
                    _ => return Err(ArrayError::NoObject.into()),
                },
                At::In { depth, string: true, escaped } => {
                    At::In { depth, string: escaped || byte != b'"', escaped: !escaped && byte == b'\\' }
                }
                At::In { depth, .. } => match byte {
                    b'"' => At::In { depth, string: true, escaped: false },
                    b'{' | b'[' => At::In { depth: depth + 1, string: false, escaped: false },
                    b'}' | b']' if depth == 1 => {
                        let end = bytes.get(begin..=place).unwrap_or_default();
                        let goes_on = if self.held.is_empty() {
                            take(end)?
                        } else {
                            self.held.extend_from_slice(end);
                            let goes_on = take(&self.held);
                            self.held.clear();
                            goes_on?
                        };
                        if !goes_on {
                            return Ok(false);
                        }
                        At::Between
                    }
                    b'}' | b']' => At::In { depth: depth - 1, string: false, escaped: false },
                    _ => self.at,
                },
                At::End => return Err(ArrayError::Surplus.into()),
            };
        }
        if matches!(self.at, At::In { .. }) {
            self.held.extend_from_slice(bytes.get(begin..).unwrap_or_default());
            if self.held.len() > MAX_OBJECT {
                return Err(ArrayError::TooLong.into());
            }
        }
        Ok(true)
    }

    /// Says whether all has come.
    pub(super) fn finish(&self) -> Result<(), ArrayError> {
        if self.at == At::End { Ok(()) } else { Err(ArrayError::CutOff) }
    }

    /// Whether nothing but white space has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.at == At::Begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects of a text that comes in pieces of this size.
    fn cut(text: &str, size: usize) -> Result<Vec<String>, ArrayError> {
        let (mut array, mut found) = (JsonArray::new(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            array.feed(piece, |object| {
                found.push(String::from_utf8_lossy(object).into_owned());
                Ok::<_, ArrayError>(true)
            })?;
        }
        array.finish().map(|()| found)
    }

    #[test]
    fn objects_are_found_however_they_arrive() {
        let objects = [r#"{"a":"}]\\\"[{","b":[{"c":{}}]}"#, "{}", "{\"\u{e9}\":\n1}"];
        let text = format!(" [\n{} ] \n", objects.join(" ,\r\n"));
        for size in 1..=text.len() {
            assert_eq!(cut(&text, size).unwrap(), objects, "{size}");
        }
        assert!(cut("[]", 9).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_array_of_objects() {
        for (text, error) in [
            ("", ArrayError::CutOff),
            ("{\"error\":1}", ArrayError::NoArray),
            ("<html>", ArrayError::NoArray),
            ("[1]", ArrayError::NoObject),
            ("[{},[]]", ArrayError::NoObject),
            ("[{}", ArrayError::CutOff),
            ("[{\"a\":\"]", ArrayError::CutOff),
            ("[{}] {}", ArrayError::Surplus),
        ] {
            for size in [1, 100] {
                assert_eq!(cut(text, size), Err(error), "{text}");
            }
        }
        let endless = format!("[{{\"a\":\"{}", "x".repeat(MAX_OBJECT));
        assert_eq!(cut(&endless, 64 << 10), Err(ArrayError::TooLong));
    }

    #[test]
    fn it_goes_on_only_as_long_as_it_is_told_to() {
        let mut found = 0;
        let goes_on = JsonArray::new().feed(b"[{},{},{},", |_| {
            found += 1;
            Ok::<_, ArrayError>(found < 2)
        });
        assert_eq!((goes_on, found), (Ok(false), 2));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_do_no_harm(text in "\\[?[\\[\\]{}\",\\\\: a1]{0,40}", size in 1_usize..9) {
            let _ = cut(&text, size);
        }
    }
}
