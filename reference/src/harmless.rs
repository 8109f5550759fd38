//! Text from outside, made harmless for whoever shows it.
//!
//! The lowest part of all that has words: names, values and messages come from files, programs and command lines, and every one that reaches a terminal, a page
//! or a log goes through here. It knows characters, and nothing of what they say.

use std::borrow::Cow;

/// Whether a character would steer whoever shows it, or shows as nothing at all: control characters of both sets, those that turn the direction of writing,
/// those without width, separators of lines, fillers, tags, and selectors of variants but for the two of emoji.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line: every character that [`steers`] is spelled out, `\n` or `\u{202e}`.
pub fn line(text: &str) -> Cow<'_, str> {
    spelled(text, &steers)
}

/// The text with its lines and tabs as they are, and everything else spelled out that [`steers`].
pub fn page(text: &str) -> Cow<'_, str> {
    spelled(text, &|c| steers(c) && !matches!(c, '\n' | '\t'))
}

fn spelled<'t>(text: &'t str, such: &dyn Fn(char) -> bool) -> Cow<'t, str> {
    if !text.contains(such) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len());
    for c in text.chars() {
        if such(c) {
            spelled.extend(c.escape_default());
        } else {
            spelled.push(c);
        }
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_spelled_out_and_no_letter_is() {
        for (text, shown) in [
            ("a\u{1b}[2J\u{7f}\u{9b}1m", "a\\u{1b}[2J\\u{7f}\\u{9b}1m"),
            (
                "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
                "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}",
            ),
            ("\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}", "\\u{200b}\\u{200d}\\u{2060}\\u{feff}\\u{ad}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("\u{e0001}\u{e0041}\u{e01ef}", "\\u{e0001}\\u{e0041}\\u{e01ef}"),
            ("ä é 中文 עברית ∑ ⚠\u{fe0f} a\u{301}", "ä é 中文 עברית ∑ ⚠\u{fe0f} a\u{301}"),
        ] {
            assert_eq!((line(text), page(text)), (shown.into(), shown.into()));
        }
        assert_eq!((line("a\n\tb\r"), page("a\n\tb\r")), ("a\\n\\tb\\r".into(), "a\n\tb\\r".into()));
    }
}
