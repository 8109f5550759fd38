//! An assignment made ready: cases read, numbers worked out, once for all submissions.

use super::answers::RightAnswer;
use super::assignment::{Assignment, Kind, Part, SpeedUp};
use super::stage::Stage;
use crate::bench::{DrawnPrompts, LatencyQuestion, pass_seconds, unpredictable_seed};
use crate::candidate::Surroundings;
use crate::cost::spec_of;
use crate::diagnose::Laboratory;
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::generation::{TokenJudge, repeats_itself};
use crate::io::Checkpoint;
use crate::io::wording::hex;
use crate::model::kv_cache::CacheKind;
use crate::model::{AnyModel, ModelSpec};
use crate::num::Dtype;
use crate::num::sort::sort_by;
use crate::property;
use crate::suite::{Case, Exam, Selected, Store, selected_cases};
use crate::variant::{self, Variant};
use hmac_sha256::Hash as Sha256;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// An assignment with everything that is asked.
#[derive(Debug)]
pub struct Course {
    /// The assignment.
    pub assignment: Assignment,
    /// Hash of the assignment and of its suites.
    pub sha256: String,
    /// The variant that answers are judged as.
    pub(super) variant: &'static Variant,
    /// What is ready of each part.
    pub(super) ready: Vec<Ready>,
    /// Folders and files with what is right.
    secrets: Vec<PathBuf>,
    /// Held while times are measured, so that submissions beside each other do not measure each other.
    pub(super) measuring: Mutex<()>,
}

/// What is ready of a part.
#[derive(Debug)]
pub(super) enum Ready {
    Cases(ReadyCases),
    Answers(Vec<RightAnswer>),
    SpeedUp(Box<ReadySpeedUp>),
}

impl Ready {
    /// Cases, properties and numbers of its part; 1 for a speed-up.
    pub(super) fn asks(&self, part: &Part) -> usize {
        match (self, &part.kind) {
            (Self::Cases(ready), Kind::Cases { properties, .. }) => ready.exams.len() + properties.len(),
            (Self::Answers(right), _) => right.len(),
            _ => 1,
        }
    }
}

/// A speed-up that is ready to be measured.
#[derive(Debug)]
pub(super) struct ReadySpeedUp {
    pub(super) spec: ModelSpec,
    pub(super) question: LatencyQuestion,
    /// Seconds that goldref takes for a pass over each prompt, on as many threads as submissions are told to use.
    pub(super) own: Vec<f64>,
    pub(super) judge: Mutex<TokenJudge>,
    model: AnyModel,
}

/// Bits of a prompt below which a table could hold the answers to all prompts.
const TABLE_BITS: f64 = 40.0;

/// Passes over each prompt, of which the quickest counts.
const PASSES: usize = 5;

impl ReadySpeedUp {
    fn of(speed_up: &SpeedUp, threads: u64, variant: &'static Variant) -> Result<Self> {
        let spec = spec_of(&speed_up.model.to_string_lossy())?;
        let question = LatencyQuestion {
            prompts: speed_up.prompts.clone(),
            generate: vec![speed_up.generate],
            numerics: Numerics::plain(Dtype::F32),
            cache: CacheKind::Contiguous,
            warmup: 1,
            repeats: speed_up.repeats,
            recomputed: 1,
        };
        question.refuse()?;
        let bits = speed_up.at as f64 * (spec.vocab_size as f64).log2();
        let enough = bits >= TABLE_BITS;
        if !enough {
            return Err(Error::ask(format!(
                "a prompt of {} tokens, of a vocabulary of {}, is so short that a table could hold all answers; let a longer one count",
                speed_up.at, spec.vocab_size
            )));
        }
        let checkpoint = Checkpoint::open(&speed_up.model)?;
        let model = AnyModel::load(&checkpoint, &question.numerics)?;
        let threads = usize::try_from(threads).unwrap_or(1).max(1);
        let mut own = Vec::with_capacity(question.prompts.len());
        for &prompt in &question.prompts {
            own.push(pass_seconds(&model, &question, prompt, threads, PASSES)?);
        }
        let judge = Mutex::new(TokenJudge::open(checkpoint, variant)?);
        let ready = Self { spec, question, own, judge, model };
        // Whether there are such prompts at all, and the model has positions for all tokens.
        let once = LatencyQuestion { warmup: 0, repeats: 1, ..ready.question.clone() };
        ready.prompts(&once, unpredictable_seed())?;
        Ok(ready)
    }

    /// Prompts behind which the model does not repeat itself: there the first tokens of an answer do not tell the others.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn prompts(&self, question: &LatencyQuestion, seed: u64) -> Result<DrawnPrompts> {
        question.drawn_telling(&self.spec, seed, &mut |ids, count| {
            let tokens = self.model.greedy(ids, count, question.numerics, question.cache)?;
            Ok(!repeats_itself(&tokens.iter().copied().collect::<Vec<_>>()))
        })
    }
}

/// Cases that are ready.
#[derive(Debug)]
pub(super) struct ReadyCases {
    pub(super) exams: Vec<ReadyCase>,
    /// For naming faults, made when a first answer is wrong.
    laboratory: OnceLock<Laboratory>,
}

/// A case that is ready.
#[derive(Debug)]
pub(super) struct ReadyCase {
    pub(super) exam: Exam,
    pub(super) hidden: bool,
    /// What it may take.
    pub(super) limit: Duration,
}

impl ReadyCases {
    /// Questions about models, with every fault's answer.
    pub(super) fn laboratory(&self, variant: &Variant) -> Result<&Laboratory> {
        if let Some(known) = self.laboratory.get() {
            return Ok(known);
        }
        let cases: Vec<&Case> = self.exams.iter().map(|ready| ready.exam.case()).collect();
        let made = Laboratory::of(&cases, variant.coarsest)?;
        Ok(self.laboratory.get_or_init(|| made))
    }
}

impl Course {
    /// Reads and works out everything.
    ///
    /// # Errors
    /// Suites or models that cannot be read, cases that are not there or stand twice, numbers that cannot be worked out.
    pub fn open(assignment: Assignment) -> Result<Self> {
        let stored = assignment.asked.stored;
        let variant = variant::find(stored.name()).ok_or_else(|| {
            Error::ask(format!("answers in {} cannot be judged; write f32, f64, bf16 or f16", stored.name()))
        })?;
        let mut hash = Sha256::new();
        hash.update(&assignment.source);
        hash.update(env!("CARGO_PKG_VERSION"));
        let mut secrets = vec![assignment.file.clone()];
        let mut ready = Vec::new();
        for part in &assignment.parts {
            let made = ready_part(part, &assignment, variant, &mut hash, &mut secrets);
            ready.push(made.map_err(|e| Error::ask(format!("part {}: {e}", part.id)))?);
        }
        let sha256 = hex(&hash.finalize());
        Ok(Self { assignment, sha256, variant, ready, secrets, measuring: Mutex::new(()) })
    }

    /// Steps of grading a submission, for a progress bar.
    pub fn steps(&self) -> usize {
        let of = |(part, ready): (&Part, &Ready)| match ready {
            Ready::Cases(_) => ready.asks(part),
            Ready::Answers(_) | Ready::SpeedUp(_) => 1,
        };
        self.assignment.parts.iter().zip(&self.ready).map(of).sum()
    }

    /// Checkpoints that a process of this stage may read, each once: those of hidden cases are hidden as well, but for those that are also a visible case's
    /// or a speed-up's.
    pub(super) fn models(&self, stage: Stage) -> Vec<&Path> {
        let mut models = Vec::new();
        for (part, ready) in self.assignment.parts.iter().zip(&self.ready) {
            match (ready, &part.kind) {
                (Ready::Cases(cases), _) => {
                    for ready in cases.exams.iter().filter(|ready| stage == Stage::Hidden || !ready.hidden) {
                        models.extend(ready.exam.model());
                    }
                }
                (_, Kind::SpeedUp(speed_up)) => models.push(speed_up.model.as_path()),
                _ => (),
            }
        }
        sort_by(&mut models, &|a, b| a.cmp(b));
        models.dedup();
        models
    }

    /// That a program in these surroundings cannot read what is right.
    pub(super) fn is_safe(&self, surroundings: &Surroundings, command: &[OsString]) -> Result<()> {
        for path in surroundings.readable(command)?.into_iter().flatten() {
            let Ok(real) = path.canonicalize() else { continue };
            if let Some(secret) =
                self.secrets.iter().find(|secret| secret.starts_with(&real) || real.starts_with(secret))
            {
                return Err(Error::ask(format!(
                    "a submission may read {}, and {} is there; keep what is expected apart from submissions and programs",
                    path.display(),
                    secret.display()
                )));
            }
        }
        Ok(())
    }
}

fn ready_part(
    part: &Part,
    assignment: &Assignment,
    variant: &'static Variant,
    hash: &mut Sha256,
    secrets: &mut Vec<PathBuf>,
) -> Result<Ready> {
    let (visible, hidden) = match &part.kind {
        Kind::Answers(answers) => {
            return answers.questions.iter().map(RightAnswer::of).collect::<Result<_>>().map(Ready::Answers);
        }
        Kind::SpeedUp(speed_up) => {
            let ready = ReadySpeedUp::of(speed_up, assignment.limits.threads, variant)?;
            return Ok(Ready::SpeedUp(Box::new(ready)));
        }
        Kind::Cases { visible, hidden, .. } => (visible, hidden),
    };
    let mut exams: Vec<ReadyCase> = Vec::new();
    for (set, hidden) in visible.iter().map(|set| (set, false)).chain(hidden.iter().map(|set| (set, true))) {
        let store = Store::open(&set.suite)?;
        for suite in &store.suites {
            let description = suite.folder.join("suite.json");
            hash.update(std::fs::read(&description).map_err(|e| Error::read(&description, e))?);
            for case in &suite.cases {
                let folder = case.folder();
                secrets.push(folder.canonicalize().unwrap_or(folder));
            }
        }
        for case in selected_cases(&store, &Selected { cases: set.cases.clone(), ..Selected::default() })? {
            // Results and outputs in files go by the name, wherever the case lies.
            if exams.iter().any(|ready| ready.exam.case().name == case.name) {
                return Err(Error::ask(format!("two of its cases are called {}", case.name)));
            }
            // A suite need not have hashes of its own.
            for name in ["inputs.npz", "expected.npz"] {
                let bytes = std::fs::read(case.folder().join(name)).unwrap_or_default();
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
            let exam = Exam::of(case)?;
            let own = assignment.limits.slow_factor.map(|_| exam.time_of(variant)).transpose()?;
            exams.push(ReadyCase { exam, hidden, limit: assignment.limits.for_question(own) });
        }
    }
    if let Kind::Cases { properties, .. } = &part.kind
        && exams.iter().all(|ready| ready.exam.model().is_none())
        && let Some(name) =
            properties.iter().find(|name| property::find(name).is_some_and(|found| found.is_about_models()))
    {
        return Err(Error::ask(format!("the property {name} is about a model, and no case of it has one")));
    }
    Ok(Ready::Cases(ReadyCases { exams, laboratory: OnceLock::new() }))
}
