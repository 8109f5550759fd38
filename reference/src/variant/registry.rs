//! The table of variants. A new one is a row.

use super::{Schedule, Variant};
use crate::error::{Error, Result};
use crate::eval::{CacheStorage, Numerics, TensorParallel};
use crate::model::kv_cache::CacheKind;
use crate::num::Dtype::{self, Bf16, F8E4M3, F16, F32, F64, Tf32};

/// Tokens a page in the paged variants: small, so that short sequences cross pages.
const PAGE_SIZE: usize = 4;
/// Tokens a call in the chunked variants: neither divides nor is divided by the usual lengths.
const CHUNK: usize = 3;
/// Components that share a scale in an int8 cache.
const INT8_BLOCK: usize = 32;

const BF16: Numerics = Numerics::stored_in(Bf16);
const PLAIN_F32: Numerics = Numerics::plain(F32);

/// A variant of one call with a contiguous cache.
const fn whole(name: &'static str, about: &'static str, coarsest: Dtype, numerics: Numerics) -> Variant {
    Variant {
        name,
        about,
        numerics,
        cache: CacheKind::Contiguous,
        schedule: Schedule::AsAsked,
        coarsest,
        twin_of: None,
    }
}

/// The same numerics with another cache and schedule: the answers must be the same to the bit.
const fn twin(of: Variant, name: &'static str, about: &'static str, cache: CacheKind, schedule: Schedule) -> Variant {
    Variant { name, about, cache, schedule, twin_of: Some(of.name), ..of }
}

/// Partial sums rounded to bf16 before an all-reduce over `shards` devices.
const fn parallel(shards: usize) -> Numerics {
    Numerics { tensor_parallel: Some(TensorParallel { shards, partial_sums: Bf16 }), ..BF16 }
}

const ORACLE: Variant = whole("f64", "–", F64, Numerics::plain(F64));
const SINGLE: Variant = whole("f32", "f32", F32, PLAIN_F32);
const HALF: Variant = whole("bf16", "bf16; sums, norms, softmax in f32", Bf16, BF16);

/// Every variant, the oracle first.
pub const ALL: &[Variant] = &[
    ORACLE,
    twin(ORACLE, "f64-cached", "–, then one token a call", CacheKind::Contiguous, Schedule::TokenByToken),
    SINGLE,
    twin(SINGLE, "f32-cached", "f32, one token a call", CacheKind::Contiguous, Schedule::TokenByToken),
    twin(SINGLE, "f32-chunked", "f32, three tokens a call", CacheKind::Contiguous, Schedule::Chunked(CHUNK)),
    twin(
        SINGLE,
        "f32-paged",
        "f32, shuffled pages of 4",
        CacheKind::Paged { page_size: PAGE_SIZE },
        Schedule::TokenByToken,
    ),
    twin(SINGLE, "f32-ring", "f32, ring of the window", CacheKind::Ring, Schedule::Chunked(CHUNK)),
    whole("tf32", "operands of products to tf32", Tf32, Numerics { operands: Tf32, ..PLAIN_F32 }),
    HALF,
    twin(HALF, "bf16-cached", "bf16, one token a call", CacheKind::Contiguous, Schedule::TokenByToken),
    twin(HALF, "bf16-chunked", "bf16, three tokens a call", CacheKind::Contiguous, Schedule::Chunked(CHUNK)),
    twin(
        HALF,
        "bf16-paged",
        "bf16, shuffled pages of 4",
        CacheKind::Paged { page_size: PAGE_SIZE },
        Schedule::TokenByToken,
    ),
    whole("bf16-eager", "bf16, attention scores stored too", Bf16, Numerics::eager(Bf16)),
    whole(
        "bf16-softmax",
        "bf16, scores and softmax inside too",
        Bf16,
        Numerics { softmax: Bf16, ..Numerics::eager(Bf16) },
    ),
    whole("bf16-accumulate", "bf16, running sums too", Bf16, Numerics { accumulator: Bf16, ..BF16 }),
    whole("bf16-tp2", "bf16, 2 partial sums in bf16", Bf16, parallel(2)),
    whole("bf16-tp4", "bf16, 4 partial sums in bf16", Bf16, parallel(4)),
    whole("f16", "f16; sums, norms, softmax in f32", F16, Numerics::stored_in(F16)),
    whole("f32-cache-bf16", "f32, cache in bf16", Bf16, Numerics { cache: CacheStorage::Float(Bf16), ..PLAIN_F32 }),
    whole("f32-cache-f16", "f32, cache in f16", F16, Numerics { cache: CacheStorage::Float(F16), ..PLAIN_F32 }),
    whole(
        "f32-cache-f8",
        "f32, cache in f8 e4m3",
        F8E4M3,
        Numerics { cache: CacheStorage::Float(F8E4M3), ..PLAIN_F32 },
    ),
    whole(
        "f32-cache-int8",
        "f32, cache in int8, a scale per head and block",
        Bf16,
        Numerics { cache: CacheStorage::Int8 { block: INT8_BLOCK }, ..PLAIN_F32 },
    ),
];

/// The variant of this name.
pub fn find(name: &str) -> Option<&'static Variant> {
    ALL.iter().find(|variant| variant.name == name)
}

/// The variant of this name.
///
/// # Errors
/// No variant of this name.
pub fn named(name: &str) -> Result<&'static Variant> {
    find(name).ok_or_else(|| unknown(name))
}

/// What is said of a name that no variant has.
pub fn unknown(name: &str) -> Error {
    Error::ask(format!("no variant is called \"{name}\"; there are: {}", names().join(", ")))
}

/// All names, for messages.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|variant| variant.name).collect()
}
