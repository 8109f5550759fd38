//! Cases and properties of a part: asked, compared, and why points are lost.

use super::assignment::{Rung, Scoring};
use super::course::{ReadyCase, ReadyCases};
use super::naming::{self, Given};
use super::patterns::{pattern, swapped};
use super::points::Points;
use super::report_data::{Item, ItemKind, Text};
use super::respondent::Respondent;
use crate::candidate::Outcome as Said;
use crate::check::{Comparison, Ladder, Rung as Tolerance};
use crate::diagnose::{Oracles, divergence};
use crate::error::Result;
use crate::io::{Array, Checkpoint};
use crate::ops::Answer;
use crate::property::{self, Lives, Search, Subject, Verdict};
use crate::suite::{Compared, Exam, ModelQuestion, Outcome, Standing};
use crate::variant::Variant;
use std::collections::BTreeMap;

/// What came of the cases of a part.
pub(super) struct Graded {
    pub(super) items: Vec<Item>,
    /// Faults by name.
    pub(super) findings: Vec<String>,
    /// Operations of the cases, in their order.
    pub(super) asked: Vec<String>,
}

/// A part's cases as they are graded.
pub(super) struct PartCases<'p> {
    pub(super) ready: &'p ReadyCases,
    pub(super) properties: &'p [String],
    pub(super) ladder: &'p [Rung],
    pub(super) scoring: Scoring,
    pub(super) points: &'p Points,
    pub(super) variant: &'static Variant,
}

/// Samples of a property.
const SAMPLES: u32 = 32;
/// Of the samples.
const SEED: u64 = 1;

impl PartCases<'_> {
    fn tolerances(&self) -> Ladder {
        Ladder(self.ladder.iter().map(|rung| Tolerance::absolute(rung.atol)).collect())
    }

    /// Asks all of it.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn graded(&self, respondent: &mut Respondent, progress: &dyn Fn()) -> Result<Graded> {
        let ready = self.ready;
        let count = ready.exams.len() + self.properties.len();
        let worth = self.points.over(count);
        let ladder = self.tolerances();
        let (mut items, mut given) = (Vec::new(), Vec::new());
        respondent.begin_part();
        for ReadyCase { exam, hidden, limit } in &ready.exams {
            let said = respondent.ask(exam, *limit)?;
            let (found, answer) = self.case(exam, said, &ladder)?;
            let kind = ItemKind::Case;
            items.push(found.item(exam.case().name.clone(), kind, *hidden, &worth));
            given.push(Given { exam, answer, failed: items.last().is_some_and(|item| !item.passed()) });
            progress();
        }
        let mut lives = Lives::default();
        for name in self.properties {
            let model = ready.exams.iter().find_map(|ready| ready.exam.model());
            let found = self.property(name, model, respondent, &mut lives)?;
            items.push(found.item(name.clone(), ItemKind::Property, false, &worth));
            progress();
        }
        if self.scoring == Scoring::WorstCase {
            let least = items.iter().map(|item| item.points.clone()).min().unwrap_or_else(Points::zero);
            for item in &mut items {
                item.points = least.clone();
            }
        }
        let wrong = given.iter().any(|given| given.failed && given.answer.is_some());
        let findings = if wrong { naming::findings(&given, ready, self.variant, self.ladder)? } else { Vec::new() };
        let asked = given.iter().map(|given| naming::kind_of(given.exam)).collect();
        Ok(Graded { items, findings, asked })
    }

    /// How a case stands, and the numbers that were answered.
    fn case(&self, exam: &Exam, said: Said, ladder: &Ladder) -> Result<(Found, Option<Answer>)> {
        let answer = match said {
            Said::Answered { arrays, .. } if too_many(exam, &arrays) => {
                return Ok((
                    Found::nothing("broke the protocol", "it wrote far more numbers than were asked".to_string()),
                    None,
                ));
            }
            Said::Answered { arrays, .. } => match Exam::numbers(arrays, self.variant.coarsest) {
                Ok(answer) => answer,
                Err(e) => return Ok((Found::nothing("broke the protocol", e.to_string()), None)),
            },
            other => return Ok((Found::of_outcome(&other), None)),
        };
        let compared = exam.compare(&answer, ladder);
        if !compared.is_complete() {
            return Ok((self.incomplete(exam, &answer, &compared, ladder)?, None));
        }
        if compared.is_empty() {
            return Ok((Found::nothing("nothing compared", "no element was compared".to_string()), None));
        }
        let met = (0..self.ladder.len()).find(|&rung| compared.passes(rung));
        let (share, shown) = match met {
            None => (Points::zero(), None),
            Some(rung) => (self.ladder[rung].share.clone(), Some(format!("{:e}", self.ladder[rung].atol))),
        };
        if met == Some(0) {
            return Ok((Found { share, met: shown, standing: "agrees".to_string(), reason: None }, Some(answer)));
        }
        let (standing, reason) = self.opinion(exam, &answer, &compared.facts, ladder)?;
        // Faults are known by the main arrays: where those are right, none of them explains anything.
        let answer = (!exam.main_agrees(&compared, 0)).then_some(answer);
        Ok((Found { share, met: shown, standing, reason: Some(reason) }, answer))
    }

    /// The judge's words, the pattern, the site.
    fn opinion(
        &self,
        exam: &Exam,
        answer: &Answer,
        facts: &[(String, Comparison)],
        ladder: &Ladder,
    ) -> Result<(String, Text)> {
        let outcome = exam.judge(answer, self.variant, ladder)?;
        let standing = match outcome.standing() {
            // Nothing says what rounding does to an array that the operation does not have; the ladder decides all the same.
            Standing::Failed => Standing::BeyondTolerance,
            standing => standing,
        };
        let standing = standing.words().to_string();
        // The array with the most errors tells most.
        let worst = facts.iter().max_by_key(|(_, facts)| facts.mismatches.first().copied().unwrap_or(0));
        let atol = self.ladder.first().map_or(0.0, |rung| rung.atol);
        let mut known = vec![standing.clone()];
        let mut all = Vec::new();
        if let Some((name, facts)) = worst {
            if let Some(worst) = &facts.worst_abs {
                let place = format!("{name} {:?}", worst.index);
                all.push(format!("|err| {:.2e} at {place}, {atol:e} allowed for all of the points", worst.err));
            }
            all.extend(times_the_bound(&outcome, name));
            if let (Some(expected), Some(actual)) = (exam.expected_array(name), answer.get(name))
                && !outcome.verdict().is_some_and(|verdict| verdict.is_rounding())
            {
                let said = pattern(actual, expected, &exam.compared(name), atol);
                let said = said.or_else(|| swapped(actual, expected, atol));
                match said {
                    Some(said) => known.push(said),
                    // Where nothing is true of all of it, where it is.
                    None => all.extend(facts.location.first().map(|found| found.words.clone())),
                }
            }
        }
        known.extend(self.first_site(exam, answer));
        let category = known.join("; ");
        let full = known.into_iter().chain(all).collect::<Vec<_>>().join("; ");
        Ok((standing, Text { category, full }))
    }

    /// Where the error of a model begins, if the submission gives sites.
    fn first_site(&self, exam: &Exam, answer: &Answer) -> Option<String> {
        let has_sites = answer.keys().any(|name| name != "logits" && !name.starts_with("logits."));
        let folder = exam.model().filter(|_| has_sites)?;
        // A help, not a verdict: what cannot be traced is left out.
        let question = ModelQuestion::of(exam.case()).ok()??;
        let oracles = Oracles::load(&Checkpoint::open(folder).ok()?, self.variant.coarsest).ok()?;
        let found = divergence(&oracles, &question.plan, answer.clone()).ok()?;
        found.first.map(|first| format!("it begins at {}", first.site))
    }

    /// Of an answer that lacks arrays, or has some of another shape: all of them, and the verdict on each of the others.
    fn incomplete(&self, exam: &Exam, answer: &Answer, compared: &Compared, ladder: &Ladder) -> Result<Found> {
        let atol = self.ladder.last().map_or(0.0, |rung| rung.atol);
        let (mut category, mut full) = (Vec::new(), Vec::new());
        if !compared.missing.is_empty() {
            category.push("missing array".to_string());
            let names = compared.missing.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            full.push(format!("missing array: it wrote no array {names}"));
        }
        for (name, shapes) in &compared.wrong_shape {
            let both = answer.get(name).zip(exam.expected_array(name));
            let hint = both.and_then(|(actual, expected)| swapped(actual, expected, atol));
            let said = hint.map_or_else(|| "wrong shape".to_string(), |hint| format!("wrong shape: {hint}"));
            full.push(format!("{said}; {name} is {:?}, and {:?} is right", shapes.actual, shapes.expected));
            if !category.contains(&said) {
                category.push(said);
            }
        }
        let outcome = exam.judge(answer, self.variant, ladder)?;
        if let Outcome::Missing { beside, .. } | Outcome::WrongShape { beside, .. } = &outcome {
            full.extend(beside.arrays.iter().map(|array| format!("{}: {}", array.name, array.judged.verdict)));
        }
        Ok(Found {
            share: Points::zero(),
            met: None,
            standing: outcome.standing().words().to_string(),
            reason: Some(Text { category: category.join("; "), full: full.join("; ") }),
        })
    }

    fn property(
        &self,
        name: &str,
        model: Option<&std::path::Path>,
        respondent: &mut Respondent,
        lives: &mut Lives,
    ) -> Result<Found> {
        let Some(property) = property::find(name) else {
            return Ok(Found::nothing("not asked", "it is not known".to_string()));
        };
        let Some(candidate) = respondent.candidate() else {
            return Ok(Found::nothing("not asked", "files cannot be asked for properties".to_string()));
        };
        let subject = match model.filter(|_| property.is_about_models()) {
            None => Subject::Operations,
            Some(folder) => Subject::load(folder, "model", self.variant.coarsest)?,
        };
        let search = Search { samples: SAMPLES, seed: SEED, stored: self.variant.coarsest };
        let result = property::check(property, &subject, candidate, &search, lives)?;
        let agrees = || Found { share: Points::one(), met: None, standing: "holds".to_string(), reason: None };
        Ok(match result.verdict {
            Verdict::Holds { .. } => agrees(),
            Verdict::Broken(failure) => {
                let category = format!("broken: {}; look at {}", property.about, property.look_at);
                let full = format!("{category}; {}", failure.reason);
                let reason = Some(Text { category, full });
                Found { share: Points::zero(), met: None, standing: "broken".to_string(), reason }
            }
            Verdict::NotAlive { reason, .. } => {
                let reason = Some(Text::same(format!("not alive: {reason}")));
                Found { share: Points::zero(), met: None, standing: "not alive".to_string(), reason }
            }
            Verdict::Unsupported { why } => Found::nothing("unsupported", why),
            // Nobody can break it.
            Verdict::NoPlace => agrees(),
        })
    }
}

/// Beside what was asked, sites are welcome; but whoever writes a thousand times as much is not read.
fn too_many(exam: &Exam, arrays: &BTreeMap<String, Array>) -> bool {
    const FREE: usize = 1 << 22;
    const TIMES: usize = 1000;
    let expected: usize = exam.expected().map(|(_, array)| array.len()).sum();
    let written = arrays.values().fold(0usize, |sum, array| sum.saturating_add(array.len()));
    written > expected.saturating_mul(TIMES).max(FREE)
}

/// How a case or property stands.
struct Found {
    share: Points,
    met: Option<String>,
    standing: String,
    reason: Option<Text>,
}

impl Found {
    /// Nothing is earned; what the program said itself may hold anything, and is for staff only.
    fn nothing(standing: &str, full: String) -> Self {
        let reason = Text { category: standing.to_string(), full: format!("{standing}: {full}") };
        Self { share: Points::zero(), met: None, standing: standing.to_string(), reason: Some(reason) }
    }

    fn of_outcome(said: &Said) -> Self {
        let standing = match said {
            Said::Answered { .. } => "answered",
            Said::Unsupported(_) => "unsupported",
            Said::Failed(_) => "failed",
            Said::BadAnswer(_) => "broke the protocol",
            Said::Crashed(_) => "crashed",
            Said::TimedOut(_) => "timed out",
            Said::OverLimit(_) => "over its limit",
        };
        match said {
            // Limits are no secret.
            Said::TimedOut(_) | Said::OverLimit(_) => {
                let reason = Some(Text::same(format!("{standing}: it {}", said.in_words())));
                Self { share: Points::zero(), met: None, standing: standing.to_string(), reason }
            }
            Said::Unsupported(why) | Said::Failed(why) | Said::BadAnswer(why) | Said::Crashed(why) => {
                Self::nothing(standing, why.clone())
            }
            Said::Answered { .. } => Self::nothing(standing, said.in_words()),
        }
    }

    fn item(self, name: String, kind: ItemKind, hidden: bool, worth: &Points) -> Item {
        let Self { share, met, standing, reason } = self;
        Item { name, kind, hidden, points: &share * worth, out_of: worth.clone(), met, standing, reason }
    }
}

/// How far an error is beyond what rounding does.
fn times_the_bound(outcome: &Outcome, array: &str) -> Option<String> {
    let Outcome::Compared { arrays, .. } = outcome else { return None };
    let ratios = arrays.iter().find(|found| found.name == array)?.judged.ratios.as_ref()?;
    let ratio = ratios.worst.unwrap_or(ratios.estimate);
    (ratio.is_finite() && ratio > 1.0).then(|| format!("{ratio:.1e} times what rounding does"))
}
