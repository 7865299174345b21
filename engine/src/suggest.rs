//! The word that was probably meant.

/// The candidate nearest to `word`, when it is near enough to be a slip of the keyboard: neighbours that changed places
/// count as one slip, upper and lower case as none. Of equally near ones the first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = (length / 3).min(4);
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        // The distance is at least this, and costs the product of the lengths.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= limit)
        .map(|candidate| {
            (
                strsim::osa_distance(&word, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_corrected_and_other_words_are_not() {
        let words = ["condition", "output", "priority"];
        assert_eq!(nearest("conditon", words), Some("condition"));
        assert_eq!(nearest("Output", words), Some("output"));
        assert_eq!(nearest("severity", words), None);
        assert_eq!(nearest("opne", ["open", "creat"]), Some("open"));
        assert_eq!(nearest("a", ["b"]), None);
    }
}
