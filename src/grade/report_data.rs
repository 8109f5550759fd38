//! What grading a submission found, as plain data. Every face of it is a function of it.
//!
//! Of a hidden case students read its points and its [`Standing`], one of a few fixed words, and no others: what a program says once it has seen one may hold it.

use super::assignment::Hints;
use super::points::Points;
use super::standing::Standing;
use crate::candidate::Wall;
use serde::{Deserialize, Serialize};

/// The value of `format` that this version writes and reads.
pub const FORMAT: &str = "goldref-grade/2";

/// One graded submission. It has no times: a second run gives the same, but for what a speed-up part measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradeReport {
    /// `goldref-grade/2`.
    pub format: String,
    /// Version of goldref.
    pub goldref: String,
    /// The assignment's title.
    pub title: String,
    /// Hash of the assignment, its suites and limits.
    pub assignment: String,
    /// The submission's name.
    pub submission: String,
    /// Hash of its files; empty where it is no folder.
    pub submission_sha256: String,
    /// What students learn of hidden cases.
    pub hints: Hints,
    /// How it was confined.
    pub isolation: Isolation,
    /// The walls that stood around it.
    pub walls: Vec<Wall>,
    /// The first system call that it was refused, with its first arguments: `socket(0x1, 0x1, 0x0, …)`.
    pub refused_call: Option<String>,
    /// Why it could not be asked at all.
    pub refused: Option<String>,
    /// Why it was not graded to the end, such as a full disk: no fault of its own is known, and a class that goes on grades it anew.
    pub failed: Option<String>,
    /// Its parts, in the assignment's order.
    pub parts: Vec<PartReport>,
    /// What it earned.
    pub points: Points,
    /// Of so many.
    pub out_of: Points,
}

/// How a submission was confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Isolation {
    /// In the sandbox, all of it.
    Sandbox,
    /// In what the kernel has of the sandbox: what it lacks.
    PartOfTheSandbox(String),
    /// With the rights of whoever graded it.
    NoSandbox,
    /// None of its code ran.
    NothingRan,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartReport {
    /// Its short name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it earned.
    pub points: Points,
    /// Of so many.
    pub out_of: Points,
    /// The parts that it needs and that were not passed; if there are any, it was not judged.
    pub needs: Vec<String>,
    /// Cases, properties and numbers that it asks; 1 for a speed-up.
    pub asks: usize,
    /// In a few words: how many passed and at which tolerance, or why it was not judged.
    pub in_short: String,
    /// Findings about the part as a whole: faults by name, what passes alone and fails together.
    pub findings: Findings,
    /// Cases, properties and numbers, in order.
    pub items: Vec<Item>,
    /// The speed-up, where it was measured.
    pub speed_up: Option<SpeedUpReport>,
}

/// Findings, by what they were found from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// From answers to what students have, and from points.
    of_visible: Vec<String>,
    /// From all answers.
    of_all: Vec<String>,
}

impl Findings {
    /// Of a part.
    pub(super) fn new(of_visible: Vec<String>, of_all: Vec<String>) -> Self {
        Self { of_visible, of_all }
    }

    /// Those of something that is not hidden at all.
    pub(super) fn open(findings: Vec<String>) -> Self {
        Self { of_visible: findings.clone(), of_all: findings }
    }

    /// With more that is a function of points.
    pub(super) fn and(mut self, of_points: Vec<String>) -> Self {
        self.of_visible.extend(of_points.iter().cloned());
        self.of_all.extend(of_points);
        self
    }

    /// What a student may read of them.
    pub fn to_student(&self, hints: Hints) -> &[String] {
        if hints == Hints::Full { &self.of_all } else { &self.of_visible }
    }
}

/// Who may read all of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Every student: whoever said it had seen nothing hidden.
    Everyone,
    /// Staff, and students under [`Hints::Full`].
    Full,
}

/// Why points were lost, in words that a submission may have had a hand in: messages, numbers, names, shapes, places.
///
/// Only [`to_student`](Self::to_student) gives them to a student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// All of it.
    full: String,
    /// Who may read that.
    audience: Audience,
    /// Of a number on paper, which no process has a hand in: the usual mistake.
    hint: Option<String>,
}

impl Reason {
    /// What was said, by somebody who may have seen what `audience` may read.
    pub(super) fn new(full: String, audience: Audience) -> Self {
        Self { full, audience, hint: None }
    }

    /// Of a number on paper: `full` may hold the right one, `hint` does not.
    pub(super) fn on_paper(hint: String, full: String) -> Self {
        Self { full, audience: Audience::Full, hint: Some(hint) }
    }

    /// All of it.
    pub fn to_staff(&self) -> &str {
        &self.full
    }

    /// What a student may read; `None`: nothing but the points and how the item stands.
    pub fn to_student(&self, hints: Hints) -> Option<&str> {
        match (self.audience, hints) {
            (Audience::Everyone, _) | (_, Hints::Full) => Some(&self.full),
            (Audience::Full, Hints::Category) => self.hint.as_deref(),
            (Audience::Full, Hints::None) => None,
        }
    }
}

/// A case, a property or a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// `suite/case`, the name of a property, of a question.
    pub name: String,
    /// What it is.
    pub kind: ItemKind,
    /// Whether students do not have it, nor read its name.
    pub hidden: bool,
    /// What it earned.
    pub points: Points,
    /// Of so many.
    pub out_of: Points,
    /// The tightest tolerance that it met.
    pub met: Option<String>,
    /// How it stands.
    pub standing: Standing,
    /// Why points were lost, or what is remarkable where none were.
    pub reason: Option<Reason>,
}

impl Item {
    /// Whether it earned all.
    pub fn passed(&self) -> bool {
        self.points >= self.out_of
    }
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A case of a suite.
    Case,
    /// A property.
    Property,
    /// A number worked out on paper.
    Answer,
}

/// A measured speed-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedUpReport {
    /// Prompt by prompt.
    pub rows: Vec<SpeedUpRow>,
    /// The prompt that counts.
    pub at: usize,
    /// The speed-up that earns all.
    pub needed: f64,
    /// What the times say of the cache.
    pub cache: String,
    /// How many tokens were judged, and what came of it.
    pub tokens: String,
    /// What the prompts were drawn from.
    pub seed: u64,
}

/// The times of one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedUpRow {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens generated.
    pub generate: usize,
    /// Seconds with the cache.
    pub with_cache: f64,
    /// Seconds without.
    pub without_cache: f64,
}

impl SpeedUpRow {
    /// Without over with.
    pub fn speed_up(&self) -> f64 {
        self.without_cache / self.with_cache
    }
}

/// How many cases passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// Cases, properties and numbers.
    pub all: usize,
    /// Those that earned all.
    pub passed: usize,
}

impl GradeReport {
    /// The plain count over all parts.
    pub fn evaluation(&self) -> Evaluation {
        let passed = |part: &PartReport| match part.items.as_slice() {
            // A speed-up, or a part that was not judged.
            [] => usize::from(part.needs.is_empty() && part.points >= part.out_of),
            items => items.iter().filter(|item| item.passed()).count(),
        };
        Evaluation { all: self.parts.iter().map(|part| part.asks).sum(), passed: self.parts.iter().map(passed).sum() }
    }
}
