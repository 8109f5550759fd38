//! Names the fault, or the two faults, of a candidate.
//!
//! First the verdict: a case whose answer rounding accounts for is no evidence of a fault. Then every fault is scored in the candidate's own format
//! of storage over all cases together, where it deviates and where it is right. A fault is named if it explains the answers and no other one explains
//! them as well; faults that do so equally are a tie and all are said, with a case that would tell them apart. If it leaves more than rounding does, a
//! second one is looked for.

use super::laboratory::{Laboratory, Prediction};
use super::power::largest_gap;
use super::score::{Observed, score};
use super::{hidden, pairs};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::num::{parallel, sort};
use serde::Serialize;

/// One case of the candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseEvidence {
    /// `suite/id`.
    pub case: String,
    /// Largest error; `None` where one side is not finite.
    pub error: Option<f64>,
    /// What a right program in this format may be off by.
    pub allowed: f64,
    /// Whether it is more.
    pub deviates: bool,
    /// How much of it the first suspect leaves unexplained.
    pub unexplained: Option<f64>,
}

/// A fault, or two at once, that may be the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// One name, or two.
    pub faults: Vec<&'static str>,
    /// What to look at.
    pub look_at: Vec<&'static str>,
    /// The line of the formula.
    pub formula: Vec<&'static str>,
    /// Mean logarithm of what it leaves unexplained; the lower the better.
    pub score: f64,
    /// Deviating cases that it explains.
    pub explained: usize,
    /// How much of it is in the answers, median over the deviating cases: 1 is fully that fault.
    pub coefficient: Option<f64>,
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Format of storage.
    pub stored: &'static str,
    /// Cases that were answered.
    pub answered: usize,
    /// Those that rounding does not account for.
    pub deviating: usize,
    /// Whether the first suspects are named: they explain the answers.
    pub named: bool,
    /// Of the suspects, so many from the first on explain the answers equally well.
    pub tied: usize,
    /// The best first.
    pub suspects: Vec<Suspect>,
    /// A case that would tell tied suspects apart, where the suites have one.
    pub telling: Option<String>,
    /// Where no case deviates: faults whose pattern the errors have all the same, the clearest first.
    pub hints: Vec<Hint>,
    /// Case by case.
    pub cases: Vec<CaseEvidence>,
}

/// A fault that hides within rounding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hint {
    /// Its name.
    pub fault: &'static str,
    /// What to look at.
    pub look_at: &'static str,
    /// How much of it is in the answers: 1 is fully that fault.
    pub coefficient: f64,
    /// The coefficient over its uncertainty, were all logits independent.
    pub significance: f64,
}

impl Hint {
    fn of(pattern: hidden::Pattern) -> Self {
        let hidden::Pattern { fault, coefficient, significance } = pattern;
        Self { fault: fault.name, look_at: fault.look_at, coefficient, significance }
    }
}

/// Suspects that are reported.
const SUSPECTS: usize = 5;
/// Left unexplained of a case that counts as explained.
const EXPLAINED: f64 = 0.3;
/// A second fault must leave this much less, as a logarithm, of what the first leaves: a third.
const SECOND: f64 = 1.1;
/// Less than this between two hypotheses, as a logarithm, is a tie: a factor of 2.
const TIED: f64 = 0.7;
/// A fault that leaves more unexplained is named all the same if its score is this good, and three times as good as the next.
const FAIR: f64 = -0.25;
/// A pattern within this share of the clearest one is as clear.
const AS_CLEAR: f64 = 0.9;

/// The candidate's answers to the questions of the laboratory, in their order; `None` where there is none.
///
/// # Errors
/// No answer at all; what the models refuse.
pub fn diagnose(
    laboratory: &Laboratory,
    answers: &[Option<Vec<f64>>],
    progress: &(dyn Fn() + Sync),
) -> Result<Diagnosis> {
    let mut asked = Vec::new();
    for (case, answer) in answers.iter().enumerate() {
        if answer.is_some() {
            asked.push(case);
        }
    }
    if asked.is_empty() {
        return Err(Error::ask("no case about a model was answered, and nothing answered is not a success"));
    }
    let right = laboratory.right(&asked)?;
    let facts: Vec<(f64, f64)> = parallel::try_map(asked.len(), &|at| {
        let (case, right) = (asked[at], &right[at]);
        let question = &laboratory.questions[case];
        let gap = answers[case].as_deref().map_or(0.0, |answer| largest_gap(answer, &question.expected));
        // What the format makes of a right answer, and what sums in another order do beside it.
        let floor = laboratory.floor(question, laboratory.stored)?;
        let own = 3.0 * largest_gap(right, &question.expected);
        Ok((gap, if own > floor { own } else { floor.max(1e-9) }))
    })?;
    let (mut observed, mut cases) = (Vec::new(), Vec::new());
    for ((&case, right), &(gap, allowed)) in asked.iter().zip(&right).zip(&facts) {
        let Some(actual) = answers[case].as_deref() else { continue };
        let deviates = gap > allowed;
        // The worst of many is three to four times their root mean square, and `allowed` four times the worst.
        observed.push(Observed { actual, right, noise: allowed / 14.0, deviates });
        let (case, error) = (laboratory.questions[case].name.clone(), Some(gap).filter(|gap| gap.is_finite()));
        cases.push(CaseEvidence { case, error, allowed, deviates, unexplained: None });
    }
    let mut diagnosis = Diagnosis {
        stored: laboratory.stored.name(),
        answered: asked.len(),
        deviating: observed.iter().filter(|case| case.deviates).count(),
        named: false,
        tied: 0,
        suspects: Vec::new(),
        telling: None,
        hints: Vec::new(),
        cases,
    };
    if diagnosis.deviating == 0 {
        let found = hidden::patterns(laboratory, &asked, &observed, progress)?;
        let clearest = found.first().map_or(0.0, |pattern| pattern.significance);
        for pattern in found {
            if pattern.significance >= AS_CLEAR * clearest {
                diagnosis.hints.push(Hint::of(pattern));
            }
        }
        return Ok(diagnosis);
    }
    let catalogue = laboratory.catalogue(&asked, progress)?;
    let mut hypotheses = parallel::map(catalogue.len(), &|at| {
        let (fault, answers) = &catalogue[at];
        Hypothesis::of(vec![fault], answers.clone(), &observed)
    });
    best_first(&mut hypotheses);
    let mut open = Vec::new();
    for (at, answer) in hypotheses[0].answers.iter().enumerate() {
        if observed[at].is_open(answer) {
            open.push(at);
        }
    }
    if !open.is_empty() {
        let mut two = pairs::search(laboratory, &asked, &observed, &hypotheses, &open)?;
        best_first(&mut two);
        // Two explain a little more than one as a matter of course. A second name needs what the first leaves to become a third.
        let better = |two: &Hypothesis| {
            two.score < hypotheses[0].score
                && two.left_of(&open, &observed) < hypotheses[0].left_of(&open, &observed) - SECOND
        };
        if two.first().is_some_and(better) {
            two.truncate(2 * SUSPECTS);
            two.append(&mut hypotheses);
            hypotheses = two;
            best_first(&mut hypotheses);
        }
    }
    let best = hypotheses[0].score;
    diagnosis.named = hypotheses[0].share(&observed) >= 0.5
        || (best < FAIR && hypotheses.get(1).is_none_or(|next| best < 3.0 * next.score));
    // Whoever is as good stands beside the first.
    let first = Hypothesis { faults: Vec::new(), answers: hypotheses[0].answers.clone(), score: best };
    let (mut as_good, mut others) = (Vec::new(), Vec::new());
    for hypothesis in hypotheses {
        if hypothesis.is_as_good_as(&first, &observed) {
            as_good.push(hypothesis);
        } else {
            others.push(hypothesis);
        }
    }
    diagnosis.tied = as_good.len();
    as_good.append(&mut others);
    let hypotheses = as_good;
    diagnosis.telling = telling(laboratory, &asked, &hypotheses[..diagnosis.tied]);
    for (at, evidence) in diagnosis.cases.iter_mut().enumerate() {
        evidence.unexplained = observed[at].unexplained(&hypotheses[0].answers[at]);
    }
    let shown = diagnosis.tied.max(SUSPECTS).min(hypotheses.len());
    for hypothesis in &hypotheses[..shown] {
        diagnosis.suspects.push(hypothesis.suspect(&observed));
    }
    Ok(diagnosis)
}

/// One fault or two, and what they would answer.
#[derive(Debug)]
pub(super) struct Hypothesis {
    pub(super) faults: Vec<&'static Fault>,
    pub(super) answers: Vec<Prediction>,
    pub(super) score: f64,
}

fn best_first(hypotheses: &mut [Hypothesis]) {
    sort::sort_by(hypotheses, &|a, b| a.score.total_cmp(&b.score));
}

impl Hypothesis {
    pub(super) fn of(faults: Vec<&'static Fault>, answers: Vec<Prediction>, observed: &[Observed]) -> Self {
        let mut left = Vec::with_capacity(observed.len());
        for (case, answer) in observed.iter().zip(&answers) {
            left.extend(case.unexplained(answer));
        }
        Self { faults, answers, score: score(&left) }
    }

    /// How much it leaves unexplained of each deviating case.
    fn left(&self, observed: &[Observed]) -> Vec<f64> {
        let mut left = Vec::new();
        for (case, answer) in observed.iter().zip(&self.answers) {
            if case.deviates {
                left.extend(case.unexplained(answer));
            }
        }
        left
    }

    /// The mean logarithm of what it leaves unexplained of some cases.
    fn left_of(&self, places: &[usize], observed: &[Observed]) -> f64 {
        let mut left = Vec::with_capacity(places.len());
        for &at in places {
            left.extend(observed[at].unexplained(&self.answers[at]));
        }
        score(&left)
    }

    /// Whether no case tells it from `best`, or those that do speak for neither.
    fn is_as_good_as(&self, best: &Hypothesis, observed: &[Observed]) -> bool {
        // A case that is right by one of them and not by the other speaks for the first.
        let left = |case: &Observed, answer: &Prediction| case.unexplained(answer).unwrap_or(EXPLAINED / 3.0).ln();
        let (mut sum, mut count) = (0.0, 0);
        for (at, case) in observed.iter().enumerate() {
            let (own, other) = (&self.answers[at], &best.answers[at]);
            if case.tells_apart(own, other) {
                sum += left(case, own) - left(case, other);
                count += 1;
            }
        }
        self.score <= 0.5 * best.score && (count == 0 || sum / f64::from(count) < TIED)
    }

    /// The share of the deviating cases that it explains.
    fn share(&self, observed: &[Observed]) -> f64 {
        let left = self.left(observed);
        explained(&left) as f64 / left.len().max(1) as f64
    }

    fn suspect(&self, observed: &[Observed]) -> Suspect {
        let mut coefficients: Vec<f64> = Vec::new();
        for (case, answer) in observed.iter().zip(&self.answers) {
            if case.deviates {
                coefficients.extend(case.coefficient(answer));
            }
        }
        sort::sort_by(&mut coefficients, &f64::total_cmp);
        let said = |of: fn(&Fault) -> &'static str| self.faults.iter().map(|fault| of(fault)).collect();
        Suspect {
            faults: said(|fault| fault.name),
            look_at: said(|fault| fault.look_at),
            formula: said(|fault| fault.formula),
            score: self.score,
            explained: explained(&self.left(observed)),
            coefficient: coefficients.get(coefficients.len() / 2).copied(),
        }
    }
}

/// How many of the cases of which so much is left unexplained count as explained.
fn explained(left: &[f64]) -> usize {
    left.iter().filter(|&&left| left < EXPLAINED).count()
}

/// The case in which two tied suspects differ most in proportion to what rounding does.
fn telling(laboratory: &Laboratory, asked: &[usize], tied: &[Hypothesis]) -> Option<String> {
    let [first, second, ..] = tied else { return None };
    let apart = |place: usize| {
        let (Some(one), Some(other)) = (&first.answers[place], &second.answers[place]) else { return 0.0 };
        largest_gap(one, other)
    };
    // The last of those that are furthest apart.
    let (mut best, mut furthest) = (None, 1e-6);
    for (place, &case) in asked.iter().enumerate() {
        let apart = apart(place);
        if apart >= furthest && apart > 1e-6 {
            (best, furthest) = (Some(case), apart);
        }
    }
    best.map(|case| laboratory.questions[case].name.clone())
}
