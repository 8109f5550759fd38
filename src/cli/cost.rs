//! `goldref cost`.

use super::choice::choice;
use super::exit_code;
use super::format::Format;
use super::report::{plottable, say};
use super::this_machine::total_memory;
use crate::bench::Limits;
use crate::cost::{AttentionTraffic, CostQuestion, DEVICES, Device, KvWidth, Machine, Preset, Roofline, spec_of};
use crate::error::{Error, Result};
use crate::eval::CacheStorage;
use crate::io;
use crate::model::kv_cache::CacheKind;
use crate::num::Dtype;
use crate::report;
use clap::ValueEnum;
use std::path::PathBuf;

/// Arguments of `goldref cost`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What a model takes on paper: parameters, KV cache, the batch that fits, FLOPs, bytes, arithmetic intensity, and the least
time on a device. Formulas and worked examples: docs/cost.md.

Examples:
  goldref cost --model llama-3-8b --device a100-80gb
  goldref cost --model llama-3-8b --kv hidden --memory 80GiB --context 8192
  goldref cost --model llama-3-70b --device h100 --devices 8 --cache-dtype f8_e4m3 --format json
  goldref cost --model Llama/config.json --cache paged --page-size 16
  goldref cost --model mistral-7b --device h100 --attention fused --plot cost.svg
  goldref cost --list")]
pub(crate) struct Args {
    /// A config.json, a folder with one, or the name of a public model
    #[arg(long, value_name = "MODEL", required_unless_present = "list")]
    model: Option<String>,
    /// Show the names of models and devices
    #[arg(long)]
    list: bool,
    /// Tokens of a request
    #[arg(long, value_name = "N", default_value = "8192")]
    context: usize,
    /// Requests side by side
    #[arg(long, value_name = "B", default_value = "1")]
    batch: usize,
    /// Format of the weights: bf16, f16, f32, f64, f8_e4m3
    #[arg(long, value_name = "DTYPE", default_value = "bf16", value_parser = stored)]
    weights: Dtype,
    /// Format of activations [default: that of the weights, at least 16 bits]
    #[arg(long, value_name = "DTYPE", value_parser = stored)]
    activations: Option<Dtype>,
    /// Format of keys and values [default: that of the activations]: a DTYPE, or int8 with a scale in f32 for each head,
    /// or int8:BLOCK with one for each BLOCK numbers of a head
    #[arg(long, value_name = "DTYPE", value_parser = cache_storage)]
    cache_dtype: Option<CacheFormat>,
    /// How keys and values are kept
    #[arg(long, value_parser = choice::<Cache>(), default_value = "contiguous")]
    cache: Cache,
    /// Tokens of a page
    #[arg(long, value_name = "N", default_value = "16")]
    page_size: usize,
    /// How wide keys and values are
    #[arg(long, value_parser = choice::<Kv>(), default_value = "heads")]
    kv: Kv,
    /// Whether scores and probabilities go through memory
    #[arg(long, value_parser = choice::<Attention>(), default_value = "eager")]
    attention: Attention,
    /// A device by name; `cpu` is this machine, measured now
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Memory of a device, in place of the named one's: 80GB (10⁹) or 80GiB (2³⁰)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u128>,
    /// Memory that stays free on each device
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "0GB")]
    reserve: u128,
    /// Devices that share the model (tensor parallelism)
    #[arg(long, value_name = "X", default_value = "1")]
    devices: usize,
    /// How to print
    #[arg(long, value_parser = choice::<Format>(), default_value = "text")]
    format: Format,
    /// Draw arithmetic intensity and KV memory over the length, and with --device the roofline
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cache {
    /// One array
    Contiguous,
    /// Whole pages
    Paged,
    /// No more than the window, in layers that have one
    Ring,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kv {
    /// As the model has them
    Heads,
    /// As the hidden size, as many worked answers assume
    Hidden,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Attention {
    /// They do
    Eager,
    /// They stay in one kernel, as in FlashAttention
    Fused,
}

/// Format of keys and values; `Int8` with one scale a head has no block yet.
#[derive(Debug, Clone, Copy)]
enum CacheFormat {
    Float(Dtype),
    Int8 { block: Option<usize> },
}

/// The device that is measured.
const CPU: &str = "cpu";

/// Runs the command.
pub(crate) fn main(args: &Args) -> Result<u8> {
    if args.list {
        say(&list());
        return Ok(exit_code::AGREED);
    }
    let name = args.model.as_deref().unwrap_or_default();
    let spec = spec_of(name)?;
    let activations = args.activations.unwrap_or(match args.weights {
        Dtype::F8E4M3 => Dtype::Bf16,
        dtype => dtype,
    });
    let question = CostQuestion {
        name: name.to_string(),
        spec: &spec,
        context: args.context,
        batch: args.batch,
        weights: args.weights,
        activations,
        cache: match args.cache {
            Cache::Contiguous => CacheKind::Contiguous,
            Cache::Paged => CacheKind::Paged { page_size: args.page_size },
            Cache::Ring => CacheKind::Ring,
        },
        cache_storage: match args.cache_dtype {
            None => CacheStorage::AsComputed,
            Some(CacheFormat::Float(dtype)) => CacheStorage::Float(dtype),
            Some(CacheFormat::Int8 { block }) => CacheStorage::Int8 {
                block: block.or_else(|| spec.layers.first().map(|layer| layer.attention.head_dim)).unwrap_or(1),
            },
        },
        kv_width: match args.kv {
            Kv::Heads => KvWidth::Heads,
            Kv::Hidden => KvWidth::Hidden,
        },
        traffic: match args.attention {
            Attention::Eager => AttentionTraffic::Eager,
            Attention::Fused => AttentionTraffic::Fused,
        },
        machine: machine(args, activations)?,
        reserve: args.reserve,
        devices: args.devices,
    };
    let picture = args.plot.as_deref().map(plottable).transpose()?;
    let answer = question.answer()?;
    if let (Some(path), Some(picture)) = (&args.plot, picture) {
        io::write_bytes(path, &report::cost_plot(&answer, picture))?;
    }
    say(&match args.format {
        Format::Text => report::cost_text(&answer, args.context, args.batch),
        Format::Json => report::cost_json(&answer),
    });
    Ok(exit_code::AGREED)
}

fn machine(args: &Args, activations: Dtype) -> Result<Option<Machine>> {
    if args.device.as_deref() == Some(CPU) {
        return this_cpu(args, activations).map(Some);
    }
    let device = args.device.as_deref().map(Device::find).transpose()?;
    let (name, memory) = match (device, args.memory) {
        (None, None) => return Ok(None),
        (None, Some(memory)) => ("a device".to_string(), memory),
        (Some(device), memory) => (device.name.to_string(), memory.unwrap_or_else(|| device.memory.into())),
    };
    let roofline = match device {
        None => None,
        Some(device) => {
            let Some(peak) = device.peak(activations) else {
                return Err(Error::ask(format!(
                    "{} has no published peak for {}; name other --activations",
                    device.name,
                    activations.name()
                )));
            };
            Some(Roofline { peak, bandwidth: device.bandwidth })
        }
    };
    Ok(Some(Machine { name, memory, roofline }))
}

/// Peak and bandwidth of this machine, measured now.
fn this_cpu(args: &Args, activations: Dtype) -> Result<Machine> {
    let Some(memory) = args.memory.or_else(total_memory) else {
        return Err(Error::ask("this system does not say how much memory it has; name --memory"));
    };
    let limits = Limits::measure();
    // Narrower formats are widened to f32 in registers.
    let peak = if activations == Dtype::F64 { limits.f64_peak } else { limits.f32_peak };
    let name = format!("this CPU ({:.0} GFLOP/s, {:.1} GB/s)", peak / 1e9, limits.bandwidth / 1e9);
    Ok(Machine { name, memory, roofline: Some(Roofline { peak, bandwidth: limits.bandwidth }) })
}

fn list() -> String {
    let mut out = String::from("models\n");
    for preset in Preset::all() {
        out += &format!("  {:<14} {}\n", preset.name, preset.source);
    }
    out += "devices\n";
    for device in DEVICES {
        let (memory, bandwidth) = (device.memory as f64 / 1e9, device.bandwidth / 1e9);
        out += &format!("  {:<14} {memory:.0} GB, {bandwidth:.0} GB/s; {}\n", device.name, device.source);
    }
    out += &format!("  {CPU:<14} this machine, measured now\n");
    out
}

fn dtype(text: &str) -> Option<Dtype> {
    Dtype::ALL.into_iter().find(|dtype| dtype.name() == text && *dtype != Dtype::Tf32)
}

const STORED: &str = "bf16, f16, f32, f64, f8_e4m3";

fn stored(text: &str) -> std::result::Result<Dtype, String> {
    dtype(text).ok_or_else(|| format!("it must be one of {STORED}"))
}

fn cache_storage(text: &str) -> std::result::Result<CacheFormat, String> {
    if let Some(dtype) = dtype(text) {
        return Ok(CacheFormat::Float(dtype));
    }
    let block = match text.strip_prefix("int8") {
        Some("") => Some(None),
        Some(block) => block.strip_prefix(':').and_then(|n| n.parse().ok()).filter(|&n: &usize| n > 0).map(Some),
        None => None,
    };
    block
        .map(|block| CacheFormat::Int8 { block })
        .ok_or_else(|| format!("it must be one of {STORED}, int8 or int8:BLOCK"))
}

/// `80GB`, `80GiB`, `512MiB`, also with a point.
fn size(text: &str) -> std::result::Result<u128, String> {
    const UNITS: [(&str, f64); 8] = [
        ("KiB", 1024.0),
        ("MiB", 1048576.0),
        ("GiB", 1073741824.0),
        ("TiB", 1099511627776.0),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
    ];
    let parsed = UNITS.iter().find_map(|(unit, bytes)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        (number.is_finite() && (0.0..=1e9).contains(&number)).then(|| (number * bytes) as u128)
    });
    parsed.ok_or_else(|| "it must be a number with its unit: 80GB is 80·10⁹ bytes, 80GiB is 80·2³⁰".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_gb_is_not_gib() {
        assert_eq!(size("80GB"), Ok(80_000_000_000));
        assert_eq!(size("80GiB"), Ok(85_899_345_920));
        assert_eq!(size("1.5 GiB"), Ok(1_610_612_736));
        for wrong in ["80", "80 G", "-1GB", "nanGB", "GB", "80gb", "1e300GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats_of_the_cache_are_named() {
        assert!(matches!(cache_storage("int8"), Ok(CacheFormat::Int8 { block: None })));
        assert!(matches!(cache_storage("int8:32"), Ok(CacheFormat::Int8 { block: Some(32) })));
        assert!(matches!(cache_storage("f16"), Ok(CacheFormat::Float(Dtype::F16))));
        for wrong in ["int8:0", "int8:x", "tf32", "int4", ""] {
            assert!(cache_storage(wrong).is_err(), "{wrong}");
        }
    }
}
