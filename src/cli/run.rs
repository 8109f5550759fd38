//! `goldref run`.

use super::exit_code;
use super::report::note;
use super::tokens::Tokens;
use crate::error::{Error, Result};
use crate::io::{Array, Checkpoint, npz};
use crate::linalg::convert::from_f64;
use crate::model::{AnyModel, PlannedRequest, Recorder};
use crate::variant::{self, Variant};
use ndarray::ArrayD;
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
    let model = AnyModel::load(&checkpoint, &variant.numerics)?;
    let arrays = outputs(&model, &request, variant, args)?;
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

fn outputs(
    model: &AnyModel,
    request: &PlannedRequest,
    variant: &Variant,
    args: &Args,
) -> Result<BTreeMap<String, Array>> {
    // In the scalar that computed.
    let stored = |array: ArrayD<f64>| match model {
        AnyModel::F64(_) => Array::F64(array),
        AnyModel::F32(_) => Array::F32(from_f64(&array)),
    };
    model.notes().iter().for_each(|text| note(text));
    let mut recorder = Recorder::of(args.trace.iter().cloned());
    let completion = model.complete(request, args.generate, variant.numerics, variant.cache, &mut recorder)?;

    let mut arrays = BTreeMap::new();
    if args.generate > 0 {
        arrays.insert("generated".to_string(), Array::I64(completion.tokens.into_dyn()));
        arrays.insert("generated_logits".to_string(), stored(completion.generated_logits));
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
    arrays.insert("logits".to_string(), stored(completion.logits));
    Ok(arrays)
}
