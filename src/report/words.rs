//! Words that the formats share: a stranger's names made harmless, counts, lists.

use crate::harmless;

/// Characters of a name that are shown: real ones have some thirty, and a table is as wide as its longest.
const NAME: usize = 120;
/// Characters of a sentence that are shown.
const SENTENCE: usize = 1000;

/// A name from a report, on one line and not endless.
pub(super) fn name(text: &str) -> String {
    cut(&visible(text), NAME)
}

/// A sentence from a report, on one line and not endless.
pub(super) fn sentence(text: &str) -> String {
    cut(&visible(text), SENTENCE)
}

/// The text on one line with everything spelled out that would steer whoever shows it, also the two beginnings of a line that GitHub's runner takes for a command.
pub(super) fn visible(text: &str) -> String {
    harmless::line(text).replace("::", ":\\u{3a}").replace("##[", "#\\u{23}[")
}

/// The first `length` characters, and a sign where there were more.
pub(super) fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

/// `1 case`, `2 cases`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// An error as a table shows it.
pub(super) fn error(err: f64) -> String {
    if err == 0.0 { "0".to_string() } else { format!("{err:.1e}") }
}

/// The verb for so many answers.
pub(super) fn disagree(count: usize) -> &'static str {
    if count == 1 { "disagrees" } else { "disagree" }
}

/// Names with commas between them.
pub(super) fn list<T: AsRef<str>>(names: &[T]) -> String {
    joined(names, ", ", &|text| name(text.as_ref()))
}

/// What is said of each, with a separator between them.
pub(super) fn joined<T>(items: &[T], separator: &str, said: &dyn Fn(&T) -> String) -> String {
    let mut all = String::new();
    for item in items {
        all += &said(item);
        all += separator;
    }
    all.truncate(all.len().saturating_sub(separator.len()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal_or_a_runner() {
        assert_eq!(visible("a\u{1b}[2J\nb\u{202e}c"), "a\\u{1b}[2J\\nb\\u{202e}c");
        assert_eq!(visible("::set-env"), ":\\u{3a}set-env");
        assert!(!visible(":::::").contains("::") && !visible("###[x").contains("##["));
        assert_eq!(visible("f32, ∑ 1:2 #3"), "f32, ∑ 1:2 #3");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(name(&"ä".repeat(121)), "ä".repeat(120) + "…");
        assert_eq!(name("ä"), "ä");
    }
}
