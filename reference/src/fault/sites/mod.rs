//! Wrong formulas at the sites of the forward pass.
//!
//! At a site that a deviation is about, the value is computed anew from what passed the sites before it: scores from scores, probabilities from
//! masked scores, a rotated key from the key. Several deviations at one site are parts of one wrong formula.

mod cache;
mod heads;
mod masks;
mod norms;
mod rope;
mod softmax;

use crate::eval::Intervention;
use crate::model::spec::{AttentionLayerSpec, LayerSpec, Position};
use crate::model::{Model, Plan, PlannedCall, PlannedRequest};
use crate::ops::norm::NormKind;
use crate::ops::rope::RopeSpec;
use ndarray::{Array2, Array4, ArrayD, Axis, Ix4, concatenate};
use std::collections::BTreeMap;

/// A departure from the right formula at some site; the catalogue says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deviation {
    // softmax
    SoftmaxOverQueries,
    SoftmaxOverHeads,
    NoMaxShift,
    PlusOne,
    EpsInDenominator,
    Base2,
    SoftmaxTwice,
    OnlineWithoutRescale,
    TileTail,
    SplitMerge,
    Dropout,
    NanRows,
    // masks
    TopLeft,
    Strict,
    NextToken,
    NoCausality,
    NoCausalityWithCache,
    FillMinusTen,
    FillMinusTenThousand,
    Multiplied,
    AfterSoftmax,
    Inverted,
    PaddingSeen,
    PaddingSeenInDecode,
    PaddingReversed,
    RowZeroPadding,
    RingOverwritten,
    SoftcapAfterMask,
    AlibiSlopes,
    AlibiOffset,
    // positions
    MixedConventions,
    Exponent,
    PartialDim,
    HeadsAsPositions,
    FirstHeadOnly,
    SignFlipped,
    ValuesRotated,
    KeysNotRotated,
    KeysOneAhead,
    BothOneAhead,
    HalvesCrossed,
    TablesOfOtherOffset,
    PositionsInBf16,
    FrequenciesInBf16,
    QkNormAfterRope,
    // heads
    HeadsTiled,
    HeadZero,
    RepeatedAlongTokens,
    SplitWithoutTranspose,
    MergedWithoutTranspose,
    KeysAndValuesSwapped,
    // norms, residual, MLP
    EpsOutsideRoot,
    EpsInflated,
    DividedByRsqrt,
    SumForMean,
    MeanSubtracted,
    Unbiased,
    StatisticsInBf16,
    WeightInLowPrecision,
    ResidualFromNormed,
    ResidualMissing,
    GeluTerm,
    SiluOfProduct,
    // cache
    KeysBeforeRope,
    KeysRotatedTwice,
    NotUpdated,
    SlotOverwritten,
    ValuesStale,
    Prepended,
    LayerZero,
    RingOrder,
    PagesInOrder,
    RowZeroKeys,
}

use Deviation as D;

impl Deviation {
    /// Whether the model and the calls have the part that it is about.
    pub(super) fn has_place(self, model: &Model<f64>, plan: &Plan) -> bool {
        let spec = &model.spec;
        let layers = || spec.layers.iter();
        let rope = || layers().any(|layer| matches!(layer.attention.position, Position::Rope(_)));
        let later = || plan.requests.iter().any(|request| request.calls.len() > 1);
        let grouped = || layers().any(|l| l.attention.num_key_value_heads < l.attention.num_attention_heads);
        match self {
            D::SoftcapAfterMask => layers().any(|layer| layer.attention.softcap.is_some()),
            D::AlibiSlopes | D::AlibiOffset => layers().any(|layer| layer.attention.position == Position::Alibi),
            D::RingOverwritten | D::RingOrder => layers().any(|layer| layer.attention.sliding_window.is_some()),
            D::QkNormAfterRope => layers().any(|layer| layer.attention.qk_norm.is_some()),
            D::PartialDim => layers().any(|layer| match &layer.attention.position {
                Position::Rope(rope) => rope.rotary_dim != layer.attention.head_dim,
                Position::None | Position::Alibi => false,
            }),
            D::MixedConventions
            | D::Exponent
            | D::HeadsAsPositions
            | D::FirstHeadOnly
            | D::SignFlipped
            | D::ValuesRotated
            | D::KeysNotRotated
            | D::KeysOneAhead
            | D::BothOneAhead
            | D::PositionsInBf16
            | D::FrequenciesInBf16
            | D::KeysBeforeRope
            | D::KeysRotatedTwice => rope(),
            D::TablesOfOtherOffset => rope() && (later() || plan.requests.len() > 1),
            D::HalvesCrossed => rope() && !grouped(),
            D::RepeatedAlongTokens | D::HeadsTiled => grouped(),
            D::MeanSubtracted | D::WeightInLowPrecision => norms::kinds(model).contains(&NormKind::Rms),
            D::Unbiased => norms::kinds(model).contains(&NormKind::Layer),
            D::GeluTerm => layers().any(|layer| norms::is_gelu(layer.mlp.activation)),
            D::SiluOfProduct => layers().any(|layer| layer.mlp.gated),
            D::NoCausalityWithCache
            | D::PaddingSeenInDecode
            | D::NotUpdated
            | D::SlotOverwritten
            | D::ValuesStale
            | D::Prepended
            | D::LayerZero => later(),
            _ => true,
        }
    }
}

/// Angles of a layer and a role; their shape tells them apart.
type Table = (usize, char, Array4<f64>);
/// Keys and values of each layer; `None` for one that has not come yet.
type Cache = Vec<Option<[Array4<f64>; 2]>>;

/// Stands at the sites of one request.
pub(super) struct Sites<'m> {
    model: &'m Model<f64>,
    deviations: &'m [Deviation],
    /// Tokens of the first call.
    prompt: usize,
    /// `[batch, total_len]`, this call's last.
    real: Array2<bool>,
    positions: Array2<i64>,
    q_len: usize,
    /// What passed the sites of the layer so far, and the stream that entered it as `x`.
    seen: BTreeMap<String, ArrayD<f64>>,
    layer: Option<usize>,
    /// As a wrong cache holds them, now and before this call.
    cache: Cache,
    cache_before: Cache,
    /// Of earlier requests too.
    tables: Vec<Table>,
}

impl<'m> Sites<'m> {
    pub(super) fn new(model: &'m Model<f64>, deviations: &'m [Deviation]) -> Self {
        Self {
            model,
            deviations,
            prompt: 0,
            real: Array2::from_elem((0, 0), true),
            positions: Array2::zeros((0, 0)),
            q_len: 0,
            seen: BTreeMap::new(),
            layer: None,
            cache: vec![None; model.spec.layers.len()],
            cache_before: vec![None; model.spec.layers.len()],
            tables: Vec::new(),
        }
    }

    /// A request comes; what a wrong cache of tables holds stays.
    pub(super) fn request(&mut self, request: &PlannedRequest) {
        let batch = request.batch();
        let tables = std::mem::take(&mut self.tables);
        let real = Array2::from_elem((batch, 0), true);
        let positions = Array2::zeros((batch, 0));
        *self = Self { prompt: request.prompt(), real, positions, tables, ..Self::new(self.model, self.deviations) };
    }

    /// A call comes.
    pub(super) fn begin(&mut self, call: &PlannedCall) {
        let joined = |old: &Array2<bool>, new: &Array2<bool>| concatenate(Axis(1), &[old.view(), new.view()]);
        // Calls of one request have the rows of its first.
        self.real = joined(&self.real, &call.real).unwrap_or_else(|_| call.real.clone());
        self.positions = concatenate(Axis(1), &[self.positions.view(), call.positions.view()])
            .unwrap_or_else(|_| call.positions.clone());
        self.q_len = call.input_ids.ncols();
        self.cache_before = self.cache.clone();
        self.seen.clear();
        self.layer = None;
    }

    fn has(&self, deviation: Deviation) -> bool {
        self.deviations.contains(&deviation)
    }

    fn any(&self, deviations: &[Deviation]) -> bool {
        deviations.iter().any(|deviation| self.has(*deviation))
    }

    /// The first of these that is there.
    fn which(&self, deviations: &[Deviation]) -> Option<Deviation> {
        deviations.iter().copied().find(|deviation| self.has(*deviation))
    }

    /// Tokens of the request before this call.
    fn past_len(&self) -> usize {
        self.positions.ncols() - self.q_len
    }

    /// Positions of this call.
    fn now(&self) -> Array2<i64> {
        self.positions.slice(ndarray::s![.., self.past_len()..]).to_owned()
    }

    fn layer_spec(&self) -> Option<&'m LayerSpec> {
        self.model.spec.layers.get(self.layer?)
    }

    fn attention(&self) -> Option<&'m AttentionLayerSpec> {
        self.layer_spec().map(|layer| &layer.attention)
    }

    fn rope(&self) -> Option<&'m RopeSpec> {
        match &self.attention()?.position {
            Position::Rope(rope) => Some(rope),
            Position::None | Position::Alibi => None,
        }
    }

    /// What passed the last of these sites in this layer.
    fn last(&self, sites: &[&str]) -> Option<&ArrayD<f64>> {
        sites.iter().rev().find_map(|site| self.seen.get(*site))
    }

    fn last4(&self, sites: &[&str]) -> Option<Array4<f64>> {
        self.last(sites)?.clone().into_dimensionality::<Ix4>().ok()
    }

    /// The wrong value of a site; `None` where nothing is wrong with it.
    fn wrong(&mut self, site: &str, value: &ArrayD<f64>) -> Option<ArrayD<f64>> {
        match site {
            "attn.q" | "attn.k" | "attn.v" => self.wrong_projection(site, value),
            "attn.q_norm" | "attn.k_norm" if self.has(D::QkNormAfterRope) => self.last(&[&site[..6]]).cloned(),
            "attn.q_rope" | "attn.k_rope" => self.wrong_rotation(site),
            "attn.keys" => self.wrong_keys(value),
            "attn.values" => self.wrong_values(value),
            "attn.masked_scores" => self.wrong_masked_scores(),
            "attn.probs" => self.wrong_probs(),
            "attn.context" => self.wrong_context(value),
            "attn_residual" | "output" => self.wrong_residual(site),
            "mlp.activated" | "mlp.gated" => self.wrong_mlp(site),
            _ => self.wrong_norm(site),
        }
    }
}

impl std::fmt::Debug for Sites<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sites")
            .field("deviations", &self.deviations)
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}

impl Intervention for Sites<'_> {
    fn wants(&self, _: &str) -> bool {
        true
    }

    fn at(&mut self, layer: Option<usize>, site: &str, value: &mut ArrayD<f64>) {
        if layer != self.layer {
            // The stream goes on; all else belongs to the layer that ended.
            let x = self.last(&["embed", "output"]).cloned();
            self.seen.clear();
            if let Some(x) = x {
                self.seen.insert("x".to_string(), x);
            }
            self.layer = layer;
        }
        if let Some(wrong) = self.wrong(site, value) {
            *value = wrong;
        }
        self.seen.insert(site.to_string(), value.clone());
    }
}
