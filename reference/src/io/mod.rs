//! Files in, files out: NumPy arrays (`.npy`, `.npz`), safetensors, Hugging Face checkpoints.
//!
//! It uses `error`, and the sorting of `num`, and nothing else of the crate; it knows bytes, shapes and element types, and nothing of
//! operations, models, cases or verdicts. Each file may come from a stranger: what a file claims about itself is checked
//! against the bytes that are there *before* memory is taken for it, every limit stands in
//! [`limits`], and a refusal says what was found, where, and what would be right.

pub(crate) mod array;
pub mod checkpoint;
pub mod disk;
mod elements;
#[cfg(test)]
mod hostile_tests;
#[cfg(feature = "reference")]
pub mod json;
pub mod limits;
pub mod mapped;
pub mod npy;
mod npy_header;
pub mod npz;
#[cfg(feature = "reference")]
pub(crate) mod numbers;
pub mod safetensors;
pub mod wording;

pub use array::{Array, NonFinite, values};
pub use checkpoint::Checkpoint;
pub use disk::{write_bytes, write_text};
pub use safetensors::SafeTensors;
