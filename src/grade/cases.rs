//! Cases and properties of a part: asked, compared, and why points are lost.

use super::assignment::{Rung, Scoring};
use super::course::{ReadyCase, ReadyCases};
use super::naming::{self, Given};
use super::patterns::{pattern, swapped};
use super::points::Points;
use super::report_data::{Audience, Findings, Item, ItemKind, Reason};
use super::respondent::Respondent;
use super::stage::Stage;
use super::standing::Standing;
use crate::candidate::{Outcome as Said, numbers_in};
use crate::check::{Comparison, Ladder, Rung as Tolerance};
use crate::diagnose::{Oracles, divergence};
use crate::error::Result;
use crate::io::{Array, Checkpoint};
use crate::num::sort::sort_by;
use crate::ops::Answer;
use crate::property::{self, Lives, Search, Subject, Verdict};
use crate::suite::{Compared, Exam, ModelQuestion, Outcome, Standing as Stands};
use crate::variant::Variant;
use std::collections::BTreeMap;
use std::path::Path;

/// What came of the cases of a part.
pub(super) struct Graded {
    pub(super) items: Vec<Item>,
    /// Faults by name, from answers to visible cases, and from all.
    pub(super) findings: Findings,
    /// Operations of the cases, in their order.
    pub(super) asked: Vec<String>,
}

/// What came of one stage of a part: its items and the answers to its cases, each with its place in the part.
#[derive(Default)]
pub(super) struct Answered<'p> {
    items: Vec<(usize, Item)>,
    given: Vec<Given<'p>>,
    /// Questions in a row that it did not survive.
    pub(super) ended: usize,
}

/// A part's cases as they are graded.
pub(super) struct PartCases<'p> {
    pub(super) ready: &'p ReadyCases,
    pub(super) properties: &'p [String],
    pub(super) ladder: &'p [Rung],
    pub(super) scoring: Scoring,
    pub(super) points: &'p Points,
    pub(super) variant: &'static Variant,
    /// Checkpoints that students may know.
    pub(super) open_models: &'p [&'p Path],
    /// Of the samples of properties.
    pub(super) seed: u64,
}

/// Samples of a property.
const SAMPLES: u32 = 32;

impl<'p> PartCases<'p> {
    fn tolerances(&self) -> Ladder {
        Ladder(self.ladder.iter().map(|rung| Tolerance::absolute(rung.atol)).collect())
    }

    /// What a case or property is worth.
    fn worth(&self) -> Points {
        self.points.over(self.ready.exams.len() + self.properties.len())
    }

    /// The checkpoint that a property is asked about.
    fn model_of(&self, name: &str) -> Option<&'p Path> {
        let about_models = property::find(name).is_some_and(|found| found.is_about_models());
        self.ready.exams.iter().find_map(|ready| ready.exam.model()).filter(|_| about_models)
    }

    /// The stage in which a property is asked: it may print the weights of its checkpoint.
    fn stage_of(&self, name: &str) -> Stage {
        match self.model_of(name) {
            Some(model) if !self.open_models.contains(&model) => Stage::Hidden,
            _ => Stage::Visible,
        }
    }

    /// Asks what belongs to the respondent's stage. `ended`: questions in a row that the submission did not survive before.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn ask(&self, respondent: &mut Respondent, ended: usize, progress: &dyn Fn()) -> Result<Answered<'p>> {
        let ready = self.ready;
        let (worth, ladder, stage) = (self.worth(), self.tolerances(), respondent.stage());
        let audience = stage.audience();
        let mut answered = Answered::default();
        respondent.begin_part(ended);
        for (place, ReadyCase { exam, hidden, limit }) in ready.exams.iter().enumerate() {
            if *hidden != (stage == Stage::Hidden) {
                continue;
            }
            let said = respondent.ask(exam, *limit)?;
            let (found, mut answer) = self.case(exam, said, &ladder)?;
            let item = found.item(exam.case().name.clone(), ItemKind::Case, *hidden, &worth, audience)?;
            // What was not asked for is not kept until the end.
            if let Some(answer) = &mut answer {
                answer.retain(|name, _| exam.expected().any(|(expected, _)| expected == name));
            }
            answered.given.push(Given { exam, answer, failed: !item.passed(), hidden: *hidden });
            answered.items.push((place, item));
            progress();
        }
        answered.ended = respondent.ended();
        let mut lives = Lives::of(self.seed);
        for (place, name) in (ready.exams.len()..).zip(self.properties) {
            if self.stage_of(name) != stage {
                continue;
            }
            let found = self.property(name, self.model_of(name), respondent, &mut lives)?;
            answered.items.push((place, found.item(name.clone(), ItemKind::Property, false, &worth, audience)?));
            progress();
        }
        Ok(answered)
    }

    /// The part, from what came of its stages.
    ///
    /// # Errors
    /// What is no fault of the submission.
    pub(super) fn graded(&self, visible: Answered<'p>, hidden: Answered<'p>) -> Result<Graded> {
        let mut placed = visible.items;
        placed.extend(hidden.items);
        sort_by(&mut placed, &|a: &(usize, Item), b| a.0.cmp(&b.0));
        let mut items: Vec<Item> = placed.into_iter().map(|(_, item)| item).collect();
        if self.scoring == Scoring::WorstCase {
            let least = items.iter().map(|item| item.points.clone()).min().unwrap_or_else(Points::zero);
            for item in &mut items {
                item.points = least.clone();
            }
        }
        let mut given = visible.given;
        given.extend(hidden.given);
        let of_visible = self.faults(&given, "wrong answers to visible cases", &|given| !given.hidden)?;
        let wrong_hidden = given.iter().any(|given| given.hidden && given.is_wrong());
        let of_all = if wrong_hidden || !of_visible.is_empty() {
            self.faults(&given, "wrong answers", &|_| true)?
        } else {
            Vec::new()
        };
        let mut asked = vec![String::new(); self.ready.exams.len()];
        for (kind, ready) in asked.iter_mut().zip(&self.ready.exams) {
            *kind = naming::kind_of(&ready.exam);
        }
        Ok(Graded { items, findings: Findings::new(of_visible, of_all), asked })
    }

    /// The faults that explain the chosen answers.
    fn faults(&self, given: &[Given], noun: &str, chosen: &dyn Fn(&Given) -> bool) -> Result<Vec<String>> {
        let given: Vec<&Given> = given.iter().filter(|given| chosen(given)).collect();
        if !given.iter().any(|given| given.is_wrong()) {
            return Ok(Vec::new());
        }
        naming::findings(&given, noun, self.ready, self.variant, self.ladder)
    }

    /// How many items pass, and at which tolerance. It is a function of points: hidden cases count.
    pub(super) fn counted(&self, items: &[Item]) -> String {
        let passed = items.iter().filter(|item| item.passed()).count();
        let worth = self.worth();
        let mut rungs = vec![0usize; self.ladder.len()];
        for item in items.iter().filter(|item| item.kind == ItemKind::Case && item.points > Points::zero()) {
            // The loosest that earns so much: the case meets that one, whichever else.
            let met = self.ladder.iter().rposition(|rung| &rung.share * &worth == item.points);
            if let Some(count) = met.and_then(|met| rungs.get_mut(met)) {
                *count += 1;
            }
        }
        let mut at = Vec::new();
        for (count, rung) in rungs.iter().zip(self.ladder).filter(|(count, _)| **count > 0) {
            at.push((format!("{count} at {:e}", rung.atol), rung.atol));
        }
        let all = items.len();
        match at.as_slice() {
            [] => format!("{passed} of {all}"),
            [(_, atol)] if passed == all => format!("{passed} of {all} at {atol:e}"),
            _ => format!("{passed} of {all} ({})", joined(&at)),
        }
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
    ) -> Result<(String, String)> {
        let outcome = exam.judge(answer, self.variant, ladder)?;
        let standing = match outcome.standing() {
            // Nothing says what rounding does to an array that the operation does not have; the ladder decides all the same.
            Stands::Failed => Stands::BeyondTolerance,
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
        known.extend(all);
        Ok((standing, known.join("; ")))
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
        let mut full = Vec::new();
        if !compared.missing.is_empty() {
            let names = compared.missing.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            full.push(format!("missing array: it wrote no array {names}"));
        }
        for (name, shapes) in &compared.wrong_shape {
            let both = answer.get(name).zip(exam.expected_array(name));
            let hint = both.and_then(|(actual, expected)| swapped(actual, expected, atol));
            let said = hint.map_or_else(|| "wrong shape".to_string(), |hint| format!("wrong shape: {hint}"));
            full.push(format!("{said}; {name} is {:?}, and {:?} is right", shapes.actual, shapes.expected));
        }
        let outcome = exam.judge(answer, self.variant, ladder)?;
        if let Outcome::Missing { beside, .. } | Outcome::WrongShape { beside, .. } = &outcome {
            full.extend(beside.arrays.iter().map(|array| format!("{}: {}", array.name, array.judged.verdict)));
        }
        Ok(Found {
            share: Points::zero(),
            met: None,
            standing: outcome.standing().words().to_string(),
            reason: Some(full.join("; ")),
        })
    }

    fn property(
        &self,
        name: &str,
        model: Option<&Path>,
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
        let search = Search { samples: SAMPLES, seed: self.seed, stored: self.variant.coarsest };
        let result = property::check(property, &subject, candidate, &search, lives)?;
        let agrees = || Found { share: Points::one(), met: None, standing: "holds".to_string(), reason: None };
        Ok(match result.verdict {
            Verdict::Holds { .. } => agrees(),
            Verdict::Broken(failure) => {
                let (about, look_at) = (property.about, property.look_at);
                let reason = Some(format!("broken: {about}; look at {look_at}; {}", failure.reason));
                Found { share: Points::zero(), met: None, standing: "broken".to_string(), reason }
            }
            Verdict::NotAlive { reason, .. } => {
                let reason = Some(format!("not alive: {reason}"));
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
    numbers_in(arrays) > expected.saturating_mul(TIMES).max(FREE)
}

/// How a case or property stands.
struct Found {
    share: Points,
    met: Option<String>,
    standing: String,
    /// Why, with whatever the program said itself.
    reason: Option<String>,
}

impl Found {
    /// Nothing is earned.
    fn nothing(standing: &str, full: String) -> Self {
        let reason = format!("{standing}: {full}");
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
            Said::TimedOut(_) | Said::OverLimit(_) => Self::nothing(standing, format!("it {}", said.in_words())),
            Said::Unsupported(why) | Said::Failed(why) | Said::BadAnswer(why) | Said::Crashed(why) => {
                Self::nothing(standing, why.clone())
            }
            Said::Answered { .. } => Self::nothing(standing, said.in_words()),
        }
    }

    /// The item; `audience` may read what the program said.
    fn item(self, name: String, kind: ItemKind, hidden: bool, worth: &Points, audience: Audience) -> Result<Item> {
        let Self { share, met, standing, reason } = self;
        let (standing, reason) = (Standing::of(&standing)?, reason.map(|full| Reason::new(full, audience)));
        Ok(Item { name, kind, hidden, points: &share * worth, out_of: worth.clone(), met, standing, reason })
    }
}

/// Counts with commas between them.
fn joined(at: &[(String, f64)]) -> String {
    let mut all: Vec<&str> = Vec::with_capacity(at.len());
    for (text, _) in at {
        all.push(text);
    }
    all.join(", ")
}

/// How far an error is beyond what rounding does.
fn times_the_bound(outcome: &Outcome, array: &str) -> Option<String> {
    let Outcome::Compared { arrays, .. } = outcome else { return None };
    let ratios = arrays.iter().find(|found| found.name == array)?.judged.ratios.as_ref()?;
    let ratio = ratios.worst.unwrap_or(ratios.estimate);
    (ratio.is_finite() && ratio > 1.0).then(|| format!("{ratio:.1e} times what rounding does"))
}
