//! The reference that tokens are held against: a checkpoint in f64, and in the numerics that the candidate declares.

use super::judgement::TokenJudgement;
use crate::check::floor::{Floor, floor};
use crate::error::{Error, Result};
use crate::eval::Numerics;
use crate::io::Checkpoint;
use crate::model::kv_cache::CacheKind;
use crate::model::{AnyModel, Forcing, ModelSpec};
use crate::num::Dtype;
use crate::variant::Variant;
use ndarray::{Array2, ArrayD, ArrayView3, Ix3};

/// Perturbed evaluations that may call a token a tie.
const FIRST: usize = 2;

/// Perturbed evaluations before a token is called wrong, as of a model's logits in a suite.
pub const EVALUATIONS: usize = 8;

/// How a candidate was asked to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// With its KV cache.
    WithCache,
    /// Everything anew for each token.
    WithoutCache,
}

/// Judges generated tokens by one checkpoint.
///
/// A candidate's logits lie within C of the exact ones, C being the centred radius of the noise floor of its variant ([`crate::check::floor`]):
/// the same radius that a suite judges the logits of a model by.
#[derive(Debug)]
pub struct TokenJudge {
    variant: &'static Variant,
    checkpoint: Checkpoint,
    exact: AnyModel,
    /// In the variant's numerics; read when a token first differs.
    own: Option<AnyModel>,
}

impl TokenJudge {
    /// Reads a checkpoint, for answers of `variant`.
    ///
    /// # Errors
    /// A checkpoint that cannot be read.
    pub fn open(checkpoint: Checkpoint, variant: &'static Variant) -> Result<Self> {
        let exact = AnyModel::load(&checkpoint, &Numerics::plain(Dtype::F64))?;
        Ok(Self { variant, checkpoint, exact, own: None })
    }

    /// What the checkpoint computes.
    pub fn spec(&self) -> &ModelSpec {
        self.exact.spec()
    }

    /// Judges `tokens` `[batch, count]` behind `prompt` `[batch, len]`: token `t` by the logits behind the prompt and the answer's own first
    /// `t` tokens.
    ///
    /// # Errors
    /// Tokens that are none of the vocabulary, a text longer than the model's positions, logits of the reference that are NaN.
    pub fn judge(&mut self, prompt: &Array2<i64>, tokens: &Array2<i64>, way: Way) -> Result<TokenJudgement> {
        let forcing = forcing(self.spec(), way);
        let exact =
            self.exact.forced_logits(prompt, tokens, forcing, Numerics::plain(Dtype::F64), CacheKind::Contiguous)?;
        let mut judgement = TokenJudgement::of(tokens, three_axes(&exact)?, None)?;
        let mut evaluations: Vec<ArrayD<f64>> = Vec::new();
        for count in [FIRST, EVALUATIONS] {
            if judgement.first_wrong.is_none() {
                break;
            }
            for seed in evaluations.len() as u64..count as u64 {
                let numerics = self.variant.numerics.perturbed(seed);
                let own = self.own()?;
                evaluations.push(own.forced_logits(prompt, tokens, forcing, numerics, CacheKind::Contiguous)?);
            }
            let Floor { centred, .. } =
                floor(&exact, &evaluations.iter().collect::<Vec<_>>(), self.variant.numerics.activations)
                    .ok_or_else(|| Error::ask("nothing says how far the logits may be off"))?;
            judgement = TokenJudgement::of(tokens, three_axes(&exact)?, Some(three_axes(&centred)?))?;
        }
        Ok(judgement)
    }

    fn own(&mut self) -> Result<&AnyModel> {
        if self.own.is_none() {
            self.own = Some(AnyModel::load(&self.checkpoint, &self.variant.numerics)?);
        }
        self.own.as_ref().ok_or_else(|| Error::ask("the model was not read"))
    }
}

/// One pass over all tokens, unless the calls change the answer.
fn forcing(spec: &ModelSpec, way: Way) -> Forcing {
    match way {
        _ if !spec.depends_on_call_length() => Forcing::Together,
        Way::WithCache => Forcing::TokenByToken,
        Way::WithoutCache => Forcing::Anew,
    }
}

fn three_axes(logits: &ArrayD<f64>) -> Result<ArrayView3<'_, f64>> {
    logits.view().into_dimensionality::<Ix3>().map_err(Error::ask)
}
