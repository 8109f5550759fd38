//! Floating-point numbers that are mapped where they lie in a file, or owned; whoever clones them shares the memory.
//!
//! The one place that gives bytes of a file a type.

use super::elements::Element;
use half::{bf16, f16};
use memmap2::Mmap;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A format in which any bytes are a number.
pub(crate) trait Number: Element {}

impl Number for f64 {}
impl Number for f32 {}
impl Number for f16 {}
impl Number for bf16 {}

/// Numbers in a row; read them as a slice.
pub(crate) struct Numbers<E> {
    held: Held<E>,
}

enum Held<E> {
    /// Aligned, little-endian on a little-endian machine, of a type that is a [`Number`].
    Mapped {
        file: Arc<Mmap>,
        bytes: Range<usize>,
        element: PhantomData<E>,
    },
    Owned(Arc<Vec<E>>),
}

impl<E: Number> Numbers<E> {
    /// The numbers at these bytes of a file, little-endian. They stay there where they are aligned, else they are copied:
    /// a safetensors file may begin its data, and each tensor, at any byte.
    ///
    /// # Panics
    /// If the range lies outside the file.
    pub(super) fn mapped(file: &Arc<Mmap>, bytes: Range<usize>) -> Self {
        let there = &file[bytes.clone()];
        let aligned = there.as_ptr().align_offset(align_of::<E>()) == 0;
        if cfg!(target_endian = "little") && aligned {
            return Self { held: Held::Mapped { file: Arc::clone(file), bytes, element: PhantomData } };
        }
        Self::from(there.chunks_exact(E::SIZE).map(E::from_le).collect::<Vec<E>>())
    }
}

impl<E> From<Vec<E>> for Numbers<E> {
    fn from(numbers: Vec<E>) -> Self {
        Self { held: Held::Owned(Arc::new(numbers)) }
    }
}

impl<E> Numbers<E> {
    /// Whether they lie in a file.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.held, Held::Mapped { .. })
    }
}

impl<E> Deref for Numbers<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        match &self.held {
            Held::Owned(numbers) => numbers,
            Held::Mapped { file, bytes, .. } => {
                // SAFETY: `mapped` makes this variant for a `Number` only, of which any bytes are a value.
                let (_, numbers, _) = unsafe { file[bytes.clone()].align_to() };
                // Aligned, as `mapped` found: nothing is left before them.
                numbers
            }
        }
    }
}

impl<E> Clone for Numbers<E> {
    fn clone(&self) -> Self {
        let held = match &self.held {
            Held::Owned(numbers) => Held::Owned(Arc::clone(numbers)),
            Held::Mapped { file, bytes, .. } => {
                Held::Mapped { file: Arc::clone(file), bytes: bytes.clone(), element: PhantomData }
            }
        };
        Self { held }
    }
}

impl<E> std::fmt::Debug for Numbers<E> {
    /// How many and where: there may be billions.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.is_mapped() { "mapped" } else { "owned" };
        write!(f, "{} {place} {}", self.len(), std::any::type_name::<E>())
    }
}
