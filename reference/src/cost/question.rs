//! All that is asked of one model at once, and how it is worked out.

use super::answer::{Capacity, CostReport, CurvePoint, KvCacheCost, ModelAbout, PartCost, PhaseCost, WholeHeads};
use super::{
    AttentionSteps, Bound, ForwardWork, IntensityLimits, KvCacheSize, Memory, ParallelMemory, Roofline, Step,
    attention_kind, forward, longest_context, parameters,
};
use crate::error::{Error, Result};
use crate::eval::{CacheStorage, Work};
use crate::model::ModelSpec;
use crate::model::kv_cache::CacheKind;
use crate::num::Dtype;
use serde::{Deserialize, Serialize};

/// How wide keys and values are taken to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvWidth {
    /// As the model has them: `num_key_value_heads · head_dim`.
    Heads,
    /// As wide as the hidden size, as if each query head had its own: an assumption of many worked answers.
    Hidden,
}

/// Whether scores and probabilities go through memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionTraffic {
    /// They are written and read again, as separate operations do.
    Eager,
    /// They stay inside one kernel, which reads each query, key and value once: at best, FlashAttention.
    Fused,
}

/// What a model runs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Bytes of memory.
    pub memory: u128,
    /// FLOP/s and bytes/s; `None` where only the memory is known.
    pub roofline: Option<Roofline>,
}

/// A question about a model.
#[derive(Debug, Clone)]
pub struct CostQuestion<'s> {
    /// How the model is called.
    pub name: String,
    /// What it computes.
    pub spec: &'s ModelSpec,
    /// Tokens of a request.
    pub context: usize,
    /// Requests side by side.
    pub batch: usize,
    /// Format of weights.
    pub weights: Dtype,
    /// Format of activations.
    pub activations: Dtype,
    /// How keys and values are kept.
    pub cache: CacheKind,
    /// In which format; that of the activations as they come.
    pub cache_storage: CacheStorage,
    /// How wide they are.
    pub kv_width: KvWidth,
    /// Whether scores go through memory.
    pub traffic: AttentionTraffic,
    /// What it runs on.
    pub machine: Option<Machine>,
    /// Bytes kept free on each device.
    pub reserve: u128,
    /// Devices that share the model.
    pub devices: usize,
}

/// Larger models and longer contexts are not counted: no product of their sizes overflows below.
const MOST_PARAMETERS: f64 = 1e13;
const MOST_TOKENS: u128 = 1_000_000_000_000;

impl CostQuestion<'_> {
    /// Works everything out.
    ///
    /// # Errors
    /// Sizes of 0 or beyond reason, a cache that cannot be, devices that heads do not divide over, weights that do not fit.
    pub fn answer(&self) -> Result<CostReport> {
        self.refuse_sizes()?;
        let spec = self.spec;
        let first = &spec.layers[0].attention;
        let counted = parameters(spec);
        let cache = KvCacheSize::new(spec, self.cache, self.cache_storage, self.activations)?;
        let hidden = with_hidden_keys(spec);
        let if_hidden = KvCacheSize::new(&hidden, self.cache, self.cache_storage, self.activations)?;
        let used = if self.kv_width == KvWidth::Hidden { if_hidden } else { cache };

        let (context, batch) = (self.context as u128, self.batch as u128);
        let weights_bytes = counted.total() * self.weights.bytes() as u128;
        let kv_cache = KvCacheCost {
            bytes_a_token: used.bytes_a_token(),
            bytes_a_request: used.bytes_a_request(context),
            bytes_a_batch: batch * used.bytes_a_request(context),
            waste: used.waste(context),
            bytes_a_request_if_hidden: if_hidden.bytes_a_request(context),
        };
        let step = |q_len: usize| Step {
            batch: self.batch,
            q_len,
            past_len: self.context - q_len,
            cache: self.cache,
            logits: 1,
        };
        let (dim, number) = (first.head_dim as u128, self.activations.bytes() as u128);
        Ok(CostReport {
            model: about(&self.name, spec),
            parameter_count: counted.total(),
            parameters: counted,
            weights_bytes,
            capacity: self.capacity(weights_bytes, &used, kv_cache.bytes_a_request)?,
            kv_cache,
            attention_prefill: AttentionSteps::course(context, context, dim, number),
            attention_decode: AttentionSteps::course(1, context, dim, number),
            limits: IntensityLimits::course(dim, number),
            prefill: self.phase(&step(self.context)),
            decode: self.phase(&step(1)),
            curve: self.curve(&used, dim, number),
            assumptions: self.assumptions(),
        })
    }

    fn curve(&self, cache: &KvCacheSize, dim: u128, number: u128) -> Vec<CurvePoint> {
        let most = 4 * self.context;
        let lengths = (0..40).map(|power| 16usize << power).take_while(|&length| length <= most);
        let point = |context: usize| {
            let n = context as u128;
            let (prefill, decode) =
                (AttentionSteps::course(n, n, dim, number), AttentionSteps::course(1, n, dim, number));
            CurvePoint {
                context,
                prefill: prefill.total().intensity(),
                fused_prefill: prefill.fused().intensity(),
                decode: decode.total().intensity(),
                fused_decode: decode.fused().intensity(),
                kv_bytes: cache.bytes_a_request(n),
            }
        };
        lengths.map(point).collect()
    }

    fn refuse_sizes(&self) -> Result<()> {
        for (what, size) in [("--context", self.context), ("--batch", self.batch), ("--devices", self.devices)] {
            if size == 0 {
                return Err(Error::ask(format!("{what} is 0; it must be at least 1")));
            }
        }
        if let Some(rows) = self.spec.embedding.learned_positions.filter(|&rows| self.context > rows) {
            return Err(Error::ask(format!("--context is {}; this model has {rows} learned positions", self.context)));
        }
        if self.spec.layers.is_empty() {
            return Err(Error::ask("a model without layers has no attention to count"));
        }
        let tokens = self.context as u128 * self.batch as u128;
        if tokens > MOST_TOKENS {
            return Err(Error::ask(format!("{tokens} tokens are more than a trillion; name a shorter --context")));
        }
        // Each factor alone is below 2^31, the sum over many layers may not be.
        let rough: f64 = self.spec.layers.iter().map(rough_parameters).sum::<f64>() * self.spec.hidden_size as f64;
        if rough > MOST_PARAMETERS {
            return Err(Error::ask(format!(
                "this model has about {rough:.1e} parameters; sizes up to {MOST_PARAMETERS:.0e} are counted"
            )));
        }
        Ok(())
    }

    fn capacity(&self, weights: u128, cache: &KvCacheSize, request: u128) -> Result<Option<Capacity>> {
        let Some(machine) = &self.machine else { return Ok(None) };
        let memory = Memory { device: machine.memory, reserve: self.reserve, weights, request };
        let devices = self.devices as u128;
        let largest_batch = memory.largest_batch(devices)?;
        let room = memory.room(devices)?;
        let whole_heads = if self.devices == 1 {
            None
        } else {
            let parallel = ParallelMemory::of(self.spec, self.devices)?;
            Some(WholeHeads {
                memory: parallel,
                bytes_a_request: parallel.request(request),
                largest_batch: parallel.largest_batch(&memory, self.weights.bytes() as u128)?,
            })
        };
        Ok(Some(Capacity {
            machine: machine.clone(),
            devices: self.devices,
            reserve: self.reserve,
            largest_batch,
            longest_context: self.longest(longest_context(room, self.batch as u128, |len| cache.bytes_a_request(len))),
            whole_heads,
        }))
    }

    /// No request is longer than a table of learned positions.
    fn longest(&self, fits: Option<u128>) -> Option<u128> {
        match self.spec.embedding.learned_positions {
            None => fits,
            Some(rows) => Some(fits.map_or(rows as u128, |fits| fits.min(rows as u128))),
        }
    }

    fn phase(&self, step: &Step) -> PhaseCost {
        let work = forward(self.spec, step);
        let mut costs: Vec<PartCost> = Vec::new();
        let (mut flops, mut bytes, mut seconds) = (0, 0, Some(0.0));
        // What takes most of the time.
        let mut compute = 0.0;
        for (part, work) in parts(&work) {
            let cost = self.part(part, &work);
            flops += cost.flops;
            bytes += cost.bytes;
            seconds = seconds.zip(cost.seconds).map(|(all, own): (f64, f64)| all + own);
            if cost.bound == Some(Bound::Compute) {
                compute += cost.seconds.unwrap_or(0.0);
            }
            costs.push(cost);
        }
        let bound = seconds.map(|all| if 2.0 * compute > all { Bound::Compute } else { Bound::Memory });
        let total = PartCost { seconds, bound, ..self.costing("together", flops, bytes) };
        let pairs = |counted: &dyn Fn(Option<usize>) -> f64| -> f64 {
            self.spec.layers.iter().map(|layer| counted(layer.attention.sliding_window)).sum()
        };
        let all = pairs(&|window| step.q_len as f64 * step.keys(window) as f64);
        PhaseCost {
            parts: costs,
            visible_pairs: pairs(&|window| step.visible_pairs(window) as f64) / all,
            tokens_a_second: seconds.map(|seconds| (step.batch * step.q_len) as f64 / seconds),
            total,
        }
    }

    fn part(&self, part: &'static str, work: &Work) -> PartCost {
        let moved = [work.read, work.written];
        let bytes: u128 = moved
            .iter()
            .map(|numbers| {
                let scores = if self.traffic == AttentionTraffic::Fused { 0 } else { numbers.scores };
                numbers.weights * self.weights.bytes() as u128
                    + (numbers.activations + scores) * self.activations.bytes() as u128
                    + self.cache_bytes(numbers.cache)
            })
            .sum();
        self.costing(part, work.total_flops(), bytes)
    }

    /// Bytes of some numbers in the cache, which are whole heads. All layers have heads of one width, or of several in the same
    /// proportion of scales.
    fn cache_bytes(&self, numbers: u128) -> u128 {
        let dim = self.spec.layers[0].attention.head_dim as u128;
        match self.cache_storage {
            CacheStorage::AsComputed => numbers * self.activations.bytes() as u128,
            CacheStorage::Float(dtype) => numbers * dtype.bytes() as u128,
            CacheStorage::Int8 { block } => numbers + 4 * (numbers / dim) * dim.div_ceil(block as u128),
        }
    }

    fn costing(&self, part: &'static str, flops: u128, bytes: u128) -> PartCost {
        let roofline = self.machine.as_ref().and_then(|machine| machine.roofline);
        PartCost {
            part,
            flops,
            bytes,
            intensity: (bytes > 0).then(|| flops as f64 / bytes as f64),
            seconds: roofline.map(|roofline| roofline.seconds(flops, bytes) / self.devices as f64),
            bound: roofline.map(|roofline| roofline.bound(flops, bytes)),
        }
    }

    fn assumptions(&self) -> Vec<String> {
        let cache = match self.cache_storage {
            CacheStorage::AsComputed => self.activations.name().to_string(),
            CacheStorage::Float(dtype) => dtype.name().to_string(),
            CacheStorage::Int8 { block } => format!("int8 with a scale in f32 for each {block} numbers of a head"),
        };
        let mut all = vec![format!(
            "weights in {}, activations in {}, cache in {cache} (--weights, --activations, --cache-dtype)",
            self.weights.name(),
            self.activations.name()
        )];
        all.push(match self.cache {
            CacheKind::Contiguous => "each token of a request is kept in each layer (--cache contiguous)".to_string(),
            CacheKind::Paged { page_size } => format!("whole pages of {page_size} tokens (--cache paged --page-size)"),
            CacheKind::Ring => "layers with a window keep no more than it (--cache ring)".to_string(),
        });
        all.push(match self.kv_width {
            KvWidth::Heads => "keys and values as wide as the key heads (--kv heads)".to_string(),
            KvWidth::Hidden => {
                "keys and values as wide as the hidden size, which this model's need not be (--kv hidden)".to_string()
            }
        });
        all.push(match self.traffic {
            AttentionTraffic::Eager => "scores and probabilities go through memory (--attention eager)".to_string(),
            AttentionTraffic::Fused => "scores and probabilities stay in the kernel (--attention fused)".to_string(),
        });
        all.push(
            "all query-key pairs are computed; each operation reads its operands once and writes its result"
                .to_string(),
        );
        if let Some(machine) = &self.machine {
            all.push(format!(
                "{} of {:.1} GB = {:.2} GiB, {:.1} GB kept free on each, no memory for activations (--device, --memory, --reserve)",
                machine.name,
                machine.memory as f64 / 1e9,
                machine.memory as f64 / (1u64 << 30) as f64,
                self.reserve as f64 / 1e9
            ));
            if self.devices > 1 {
                all.push(format!("{} devices share the work evenly and talk in no time (--devices)", self.devices));
            }
        }
        all
    }
}

fn rough_parameters(layer: &crate::model::spec::LayerSpec) -> f64 {
    let attention = &layer.attention;
    let heads = attention.num_attention_heads as f64 + attention.num_key_value_heads as f64;
    2.0 * heads * attention.head_dim as f64 + 3.0 * layer.mlp.intermediate_size as f64
}

/// The model as if each layer's keys were as wide as the hidden size: one key head of that width.
fn with_hidden_keys(spec: &ModelSpec) -> ModelSpec {
    let mut wide = spec.clone();
    for layer in &mut wide.layers {
        layer.attention.num_key_value_heads = 1;
        layer.attention.head_dim = spec.hidden_size;
    }
    wide
}

fn about(name: &str, spec: &ModelSpec) -> ModelAbout {
    let first = &spec.layers[0].attention;
    ModelAbout {
        name: name.to_string(),
        model_type: spec.model_type.clone(),
        num_hidden_layers: spec.layers.len(),
        hidden_size: spec.hidden_size,
        num_attention_heads: first.num_attention_heads,
        num_key_value_heads: first.num_key_value_heads,
        head_dim: first.head_dim,
        vocab_size: spec.vocab_size,
        attention: attention_kind(first),
        windowed_layers: spec.layers.iter().filter(|layer| layer.attention.sliding_window.is_some()).count(),
    }
}

/// The parts of a call that a table shows.
fn parts(work: &ForwardWork) -> Vec<(&'static str, Work)> {
    let layers = work.all_layers();
    vec![
        ("embedding", work.embedding),
        ("norms, rope, residual", work.norms + layers.norms + layers.rope + layers.residual),
        ("projections", layers.projections),
        ("cache write", layers.cache),
        ("q kᵀ", layers.scores),
        ("softmax", layers.softmax),
        ("probs v", layers.context),
        ("MLP", layers.mlp + layers.activation),
        ("head", work.head + work.logits),
    ]
}
