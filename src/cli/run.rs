//! `goldref run`.

use super::exit_code;
use super::report::note;
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::eval::Evaluator;
use crate::io::{Array, Checkpoint, npz};
use crate::linalg::convert::to_f64;
use crate::model::{Model, PlannedRequest, Recorder, Session, generate};
use crate::num::{Dtype, Real};
use crate::variant::{self, Variant};
use ndarray::{ArrayD, s};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `goldref run`.
#[derive(Debug, clap::Args)]
#[command(mut_arg("tokens", |tokens| tokens.required(true)), after_help = "\
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
    #[command(flatten)]
    tokens: Tokens,
    /// How to compute; `goldref check` lists the variants
    #[arg(long, value_name = "NAME", default_value = "f64")]
    variant: String,
    /// Then generate so many tokens, each the most likely one
    #[arg(long, value_name = "N", default_value = "0")]
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
    let variant = variant::named(&args.variant)?;
    let request = args.tokens.request(variant.schedule)?;
    writable(&args.output)?;
    let checkpoint = Checkpoint::open(&args.model)?;
    let arrays = match variant.numerics.arithmetic {
        Dtype::F64 => {
            outputs(&Model::<f64>::load(&checkpoint, variant.numerics.weights)?, &request, variant, args, Array::F64)?
        }
        _ => outputs(&Model::<f32>::load(&checkpoint, variant.numerics.weights)?, &request, variant, args, |x| {
            Array::F32(x.mapv(|x| x as f32))
        })?,
    };
    npz::write(&args.output, &arrays)?;
    Ok(exit_code::AGREED)
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
    request: &PlannedRequest,
    variant: &Variant,
    args: &Args,
    stored: fn(ArrayD<f64>) -> Array,
) -> Result<BTreeMap<String, Array>> {
    model.weights.notes.iter().for_each(|text| note(text));
    let mut recorder = Recorder::of(args.trace.iter().cloned());
    let mut session = Session::new(&model.spec, request.batch(), variant.cache, variant.numerics.cache);
    let logits = request.run(model, &mut session, variant.numerics, &mut recorder)?;

    let mut arrays = BTreeMap::new();
    if args.generate > 0 {
        let last = logits.slice(s![.., -1, ..]).to_owned();
        // Sites are those of the given tokens; generation is not traced.
        let mut untraced = Evaluator::new(variant.numerics);
        let generated = generate(model, last, args.generate, &mut session, &mut untraced)?;
        arrays.insert("generated".to_string(), Array::I64(generated.tokens.into_dyn()));
        arrays.insert("generated_logits".to_string(), stored(to_f64(&generated.logits)));
    }
    let unmatched: Vec<String> = recorder.unmatched().into_iter().map(String::from).collect();
    if !unmatched.is_empty() {
        return Err(Error::ask(format!(
            "no site of this model matches {}; sites are embed, layers.N.<site>, final_norm and logits, with input_norm, attn.q, attn.k, attn.v, attn.q_rope, attn.k_rope, attn.keys and attn.values (the cache), attn.scores, attn.masked_scores, attn.probs, attn.context, attn.out, attn_residual, mlp_norm, mlp.gate, mlp.up, mlp.activated, mlp.down, output in a layer",
            unmatched.join(", ")
        )));
    }
    for (site, array) in recorder.into_arrays() {
        arrays.insert(site, stored(array));
    }
    arrays.insert("logits".to_string(), stored(to_f64(&logits)));
    Ok(arrays)
}
