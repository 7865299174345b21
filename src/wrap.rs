//! Long lines for people.

/// A line cut between words into lines of at most `width` characters, where its words allow.
pub(crate) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
            continue;
        }
        if !last.is_empty() {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_words() {
        let lines = wrapped(&"word ".repeat(40), 84);
        assert!(lines.iter().all(|line| line.len() <= 84), "{lines:?}");
        assert_eq!(lines.concat().matches("word").count(), 40);
        assert_eq!(wrapped(&"x".repeat(200), 84), ["x".repeat(200)]);
    }
}
