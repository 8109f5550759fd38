//! The exact command that runs one case again.

use super::words::{joined, visible};
use crate::check::{Ladder, Rung};

/// `goldref check …` for one variant and one case, as a shell reads it.
pub(super) fn rerun(fixtures: Option<&str>, ladder: &Ladder, variant: &str, case: &str) -> String {
    let folder = fixtures.map_or_else(String::new, |folder| format!("--fixtures {} ", in_quotes(folder)));
    let tolerances = tolerances(ladder);
    format!("goldref check {folder}--variant {} --case {}{tolerances}", quoted(variant), quoted(case))
}

/// The arguments that give this ladder; none for the default one, and for one that no arguments give.
fn tolerances(ladder: &Ladder) -> String {
    let mut rungs = ladder.0.clone();
    let ulps = rungs.pop_if(|last| last.max_ulps.is_some() && last.atol == 0.0 && last.rtol == 0.0);
    let mut arguments = if rungs == Ladder::default().0 {
        String::new()
    } else if let [Rung { atol: 0.0, rtol, max_ulps: None }] = rungs[..] {
        format!(" --rtol {rtol:e}")
    } else if let Some(&Rung { rtol, .. }) = rungs.first()
        && rungs.iter().all(|rung| rung.rtol == rtol && rung.max_ulps.is_none())
    {
        let atol = joined(&rungs, ",", &|rung| format!("{:e}", rung.atol));
        let rtol = if rtol == 0.0 { String::new() } else { format!(" --rtol {rtol:e}") };
        format!(" --atol {atol}{rtol}")
    } else {
        return String::new();
    };
    if let Some(max_ulps) = ulps.and_then(|rung| rung.max_ulps) {
        arguments += &format!(" --max-ulps {max_ulps}");
    }
    arguments
}

/// The word as it is where a shell reads it so, else in quotes.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_string() } else { in_quotes(word) }
}

/// The word in single quotes. With characters in it that would steer whoever shows it, `$'…'`, so that the command
/// stays on one line and harmless.
fn in_quotes(word: &str) -> String {
    if visible(word) == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut spelled = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-./=@+ ".contains(&byte) {
            spelled.push(char::from(byte));
        } else {
            spelled += &format!("\\{byte:03o}");
        }
    }
    format!("$'{spelled}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(rungs: &[Rung]) -> String {
        tolerances(&Ladder(rungs.to_vec()))
    }

    #[test]
    fn a_ladder_is_asked_for_again() {
        let ulps = Rung { max_ulps: Some(2.0), ..Rung::default() };
        let both = |atol| Rung { atol, rtol: 1e-3, max_ulps: None };
        assert_eq!(arguments(&Ladder::default().0), "");
        assert_eq!(arguments(&[Ladder::default().0, vec![ulps]].concat()), " --max-ulps 2");
        assert_eq!(arguments(&[Rung::absolute(1e-6), Rung::absolute(0.25)]), " --atol 1e-6,2.5e-1");
        assert_eq!(arguments(&[both(1e-6), both(1e-4), ulps]), " --atol 1e-6,1e-4 --rtol 1e-3 --max-ulps 2");
        assert_eq!(arguments(&[both(0.0)]), " --rtol 1e-3");
        // No arguments give this one.
        assert_eq!(arguments(&[both(1e-6), Rung::absolute(1.0)]), "");
        assert_eq!(arguments(&[]), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in [
            "plain/word_1",
            "",
            "two words",
            "it's",
            "$(touch x) `y` \\",
            "*",
            "a\nb\t'c'\\ \u{85}é",
            "-x",
            "ä|&;<>",
            "::x ##[y]\u{202e}",
        ] {
            let script = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word, "{script}");
            assert_eq!(visible(&script), script);
        }
    }
}
