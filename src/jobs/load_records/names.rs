//! Names that were mistyped.

/// The name among these that is nearest to one that is not.
pub(super) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let distance = |other: &&String| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let nearest = names.iter().min_by_key(distance)?;
    (distance(&nearest) <= name.len().max(3) / 2).then(|| nearest.clone())
}
