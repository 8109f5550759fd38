//! # goldref
//!
//! The golden reference for attention, transformers and KV caches: it knows the right answer and judges others.
//!
//! **How data flows.** A [`suite`] is read from files: cases with inputs and expected arrays that foreign oracles
//! computed. A case is asked of a [`variant`] (numerics, cache and schedule as a value), which runs the one
//! [`model`] forward pass or one operation of [`ops`]; at each named site the [`eval`]uator rounds and records.
//! The answer is compared with what is expected and judged: computed bounds and noise floors say whether rounding accounts for
//! the difference ([`check`]); a catalogue of known bugs ([`fault`]) says which one does, and the sites say where it begins ([`diagnose`]). Tokens that it generates are held against the reference
//! each on its own ([`generation`]). The verdicts are gathered
//! into a run report and rendered ([`report`]). Whoever is judged, a variant, a program in any language or a function, is a [`candidate`]; what all of them must have
//! whatever they answer stands in [`property`].
//!
//! **Who is graded.** A course's assignment ([`grade`]) asks submissions of strangers for cases, numbers and speed, in a sandbox, and gives points and the reason for each
//! that is lost.
//!
//! **What it takes.** [`cost`] works out on paper what a model takes in memory, operations and bytes, and the evaluator counts the same while the
//! reference runs; [`mod@bench`] measures latency with the KV cache and without beside it, of goldref or of a program
//! in any language ([`candidate`]).
//!
//! **Defined bits.** Products are left folds of fused multiply-adds in ascending order, sums have one order,
//! elementary functions are correctly rounded; see [`linalg`] and [`num`]. So a cached decode equals a full
//! recompute, any chunking equals the whole and any batch equals one request alone, with tolerance zero.
//!
//! **Fast, with the same bits.** Kernels for each instruction set (crate `goldref-kernels`, seen through [`simd`], [`num`] and [`linalg`]) keep tiles of running sums in registers,
//! go through attention by blocks of queries, and compute elementary functions in vectors; a definition stands beside
//! each, and tests hold them equal to the bit. Products reach 82 to 86 % of the fused multiply-adds that two cores can do;
//! where the rest of the time goes, and what kernels cost beside others: `docs/speed.md`; the proof that every CPU and
//! number of threads agrees: `docs/bits.md`.
//!
//! **Reading order.** For the mathematics: [`ops`], one file an operation, then the forward pass in [`model`].
//! For the roundings: [`eval::Numerics`] and the table in [`variant`]. Modules stand in layer order, each using only those above it, in
//! four crates: numbers (`goldref-kernels`), facts about two arrays (`goldref-compare`), the right answers (`goldref-reference`, from [`harmless`] to [`fault`]), and
//! whoever asks and is told (this one).
//!
//! **Parts that can be left out.** Features follow the layers: nothing but numbers, `compare`, `files`, `reference`, `fixtures`, `candidates`, `properties`, `grade`,
//! `reports`, `plots`, and `cli`, which is the default and all of it. Whoever tests a kernel takes `default-features = false, features = ["fixtures"]`.
//!
//! **Out of scope.** Training, tokenisers, sampling other than greedy, mixtures of experts.

// The floors below, in crates of their own.
#[doc(inline)]
pub use goldref_reference::{error, harmless, linalg, num, simd};

#[cfg(feature = "compare")]
#[doc(inline)]
pub use goldref_reference::check;

#[cfg(feature = "files")]
#[doc(inline)]
pub use goldref_reference::io;

#[cfg(feature = "reference")]
#[doc(inline)]
pub use goldref_reference::{cost, eval, fault, model, ops, variant};

// In layer order, each a group of its own so that the order stays.
#[cfg(feature = "reference")]
pub mod generation;

#[cfg(feature = "reference")]
pub mod candidate;

#[cfg(feature = "candidates")]
pub mod bench;

#[cfg(feature = "reference")]
pub mod suite;

#[cfg(feature = "properties")]
pub mod property;

#[cfg(feature = "candidates")]
pub mod diagnose;

#[cfg(feature = "grade")]
pub mod grade;

#[cfg(feature = "reports")]
pub mod report;

#[cfg(feature = "cli")]
pub mod cli;
