//! `goldref run`.

use super::exit_code;
use super::report::note;
use goldref::error::{Error, Result};
use goldref::eval::{Evaluator, Trace};
use goldref::io::{Array, Checkpoint, npy, npz};
use goldref::model::{Call, Model, Session, generate};
use goldref::num::{Dtype, Real};
use goldref::variant::{self, Variant};
use ndarray::{Array2, ArrayD, Axis, Ix2, s};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `goldref run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The output holds `logits` [batch, q_len, vocab_size] of the given tokens (f64 for the f64 variants, else f32, which
holds every 16-bit value exactly), each traced site under its name, and with --generate `generated` [batch, N] and
`generated_logits` [batch, N, vocab_size].

Examples:
  goldref run --model Llama --tokens ids.npy --output out.npz
  goldref run --model Llama --tokens ids.npy --variant bf16 --prompt-len 17 --output decoded.npz
  goldref run --model Llama --tokens ids.npy --trace 'layers.*.output,layers.0.attn.probs' --output sites.npz")]
pub(crate) struct Args {
    /// Folder with config.json and model.safetensors (or its shards and their index)
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Token ids, whole numbers [batch, len] or [len]
    #[arg(long, value_name = "FILE.npy")]
    tokens: PathBuf,
    /// 1 for a real token, 0 for padding, [batch, len]
    #[arg(long, value_name = "FILE.npy")]
    attention_mask: Option<PathBuf>,
    /// Positions [batch, len] [default: the number of real tokens before each]
    #[arg(long, value_name = "FILE.npy")]
    position_ids: Option<PathBuf>,
    /// How to compute; `goldref check` lists the variants
    #[arg(long, value_name = "NAME", default_value = "f64")]
    variant: String,
    /// Prefill so many tokens, then decode the others one by one through the variant's cache
    #[arg(long, value_name = "P")]
    prompt_len: Option<usize>,
    /// Then generate so many tokens, each the most likely one
    #[arg(long, value_name = "N", default_value_t = 0)]
    generate: usize,
    /// Sites to write too (`*` matches any characters), e.g. embed, layers.*.output, layers.0.attn.probs, final_norm
    #[arg(long, value_name = "SITES", value_delimiter = ',')]
    trace: Vec<String>,
    /// Where to write
    #[arg(long, value_name = "FILE.npz")]
    output: PathBuf,
}

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let variant = variant::find(&args.variant).ok_or_else(|| {
        Error::ask(format!("no variant is called \"{}\"; there are: {}", args.variant, variant::names().join(", ")))
    })?;
    let tokens = Tokens::read(args)?;
    let calls = tokens.calls(args, variant)?;
    writable(&args.output)?;
    let checkpoint = Checkpoint::open(&args.model)?;
    let arrays = match variant.numerics.arithmetic {
        Dtype::F64 => outputs(
            &Model::<f64>::load(&checkpoint, variant.numerics.weights)?,
            &tokens,
            &calls,
            variant,
            args,
            Array::F64,
        )?,
        _ => {
            outputs(&Model::<f32>::load(&checkpoint, variant.numerics.weights)?, &tokens, &calls, variant, args, |x| {
                Array::F32(x.mapv(|x| x as f32))
            })?
        }
    };
    npz::write(&args.output, &arrays)?;
    Ok(exit_code::AGREED)
}

/// What is run.
struct Tokens {
    input_ids: Array2<i64>,
    attention_mask: Option<Array2<bool>>,
    position_ids: Option<Array2<i64>>,
}

impl Tokens {
    fn read(args: &Args) -> Result<Self> {
        let input_ids = integers(&args.tokens)?;
        if input_ids.is_empty() {
            return Err(Error::read(
                &args.tokens,
                format!("its shape is {:?}; the prompt must have at least one token", input_ids.dim()),
            ));
        }
        let like = |path: &Option<PathBuf>| -> Result<Option<Array2<i64>>> {
            let Some(path) = path else { return Ok(None) };
            let array = integers(path)?;
            if array.dim() != input_ids.dim() {
                return Err(Error::read(
                    path,
                    format!("its shape is {:?}; the tokens are {:?}", array.dim(), input_ids.dim()),
                ));
            }
            Ok(Some(array))
        };
        let attention_mask = like(&args.attention_mask)?.map(|mask| mask.mapv(|x| x != 0));
        let position_ids = like(&args.position_ids)?;
        Ok(Self { input_ids, attention_mask, position_ids })
    }

    /// Lengths of the calls: a prefill and single tokens, or the variant's own schedule.
    fn calls(&self, args: &Args, variant: &Variant) -> Result<Vec<usize>> {
        let len = self.input_ids.ncols();
        match args.prompt_len {
            None => Ok(variant.schedule.calls(len, None)),
            Some(prompt) if (1..=len).contains(&prompt) => {
                Ok(std::iter::once(prompt).chain(std::iter::repeat_n(1, len - prompt)).collect())
            }
            Some(prompt) => Err(Error::ask(format!(
                "--prompt-len is {prompt}; it must be between 1 and the {len} tokens of {}",
                args.tokens.display()
            ))),
        }
    }
}

fn integers(path: &Path) -> Result<Array2<i64>> {
    let array = npy::read(path)?.to_i64().map_err(|e| Error::read(path, e))?;
    let shape = array.shape().to_vec();
    let array = if array.ndim() == 1 { array.insert_axis(Axis(0)) } else { array };
    array
        .into_dimensionality::<Ix2>()
        .map_err(|_| Error::read(path, format!("its shape is {shape:?}; it must be [batch, len] or [len]")))
}

/// A long run must not end at a folder that is not there.
pub(super) fn writable(output: &Path) -> Result<()> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if output.is_dir() {
        return Err(Error::write(output, "it is a folder; name a file"));
    }
    tempfile::tempfile_in(folder).map(drop).map_err(|e| Error::write(output, e))
}

fn outputs<T: Real>(
    model: &Model<T>,
    tokens: &Tokens,
    calls: &[usize],
    variant: &Variant,
    args: &Args,
    stored: fn(ArrayD<f64>) -> Array,
) -> Result<BTreeMap<String, Array>> {
    model.weights.notes.iter().for_each(|text| note(text));
    let mut trace = Trace::of(args.trace.iter().cloned());
    let mut eval = Evaluator::with_trace(variant.numerics, &mut trace);
    let mut session = Session::new(&model.spec, tokens.input_ids.nrows(), variant.cache, variant.numerics.cache);
    let call = Call {
        input_ids: &tokens.input_ids,
        attention_mask: tokens.attention_mask.as_ref(),
        position_ids: tokens.position_ids.as_ref(),
    };
    let logits = model.forward_in_calls(&call, calls, &mut session, &mut eval)?;

    let mut arrays = BTreeMap::new();
    if args.generate > 0 {
        let last = logits.slice(s![.., -1, ..]).to_owned();
        // Sites are those of the given tokens; generation is not traced.
        let mut untraced = Evaluator::new(variant.numerics);
        let generated = generate(model, last, args.generate, &mut session, &mut untraced)?;
        arrays.insert("generated".to_string(), Array::I64(generated.tokens.into_dyn()));
        arrays.insert("generated_logits".to_string(), stored(generated.logits.mapv(Real::to_f64).into_dyn()));
    }
    let unmatched: Vec<String> = trace.unmatched().into_iter().map(String::from).collect();
    if !unmatched.is_empty() {
        return Err(Error::ask(format!(
            "no site of this model matches {}; sites are embed, layers.N.<site>, final_norm and logits, with input_norm, attn.q, attn.k, attn.v, attn.q_rope, attn.k_rope, attn.keys and attn.values (the cache), attn.scores, attn.masked_scores, attn.probs, attn.context, attn.out, attn_residual, mlp_norm, mlp.gate, mlp.up, mlp.activated, mlp.down, output in a layer",
            unmatched.join(", ")
        )));
    }
    arrays.extend(trace.into_arrays().into_iter().map(|(site, array)| (site, stored(array))));
    arrays.insert("logits".to_string(), stored(logits.mapv(Real::to_f64).into_dyn()));
    Ok(arrays)
}
