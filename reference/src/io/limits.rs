//! How much a file may ask for. Every bound of the readers stands here, with its reason.

/// Bytes of an npy header. NumPy writes about 80 and reads at most 10 000 unless told otherwise.
pub const NPY_HEADER_BYTES: u64 = 64 << 10;

/// Axes of an array: NumPy's own bound.
pub const AXES: usize = 64;

/// Bytes of one array. A sparse file can claim terabytes without holding them.
pub const ARRAY_BYTES: u64 = 4 << 30;

/// Bytes of a safetensors file: a shard of a checkpoint is 5 to 10 GB.
pub const SAFETENSORS_BYTES: u64 = 64 << 30;

/// Bytes of one array that is mapped and not read: they take address space only.
pub const MAPPED_BYTES: u64 = 256 << 30;

/// Bytes of a `config.json` or a `model.safetensors.index.json`; real ones stay below 1 MB.
pub const JSON_BYTES: u64 = 64 << 20;

/// Bytes of a saved run. One of all bundled cases and variants takes about 12 MB.
pub const RUN_BYTES: u64 = 256 << 20;

/// What reading one npz may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NpzLimits {
    /// Arrays in the archive.
    pub entries: usize,
    /// Bytes read to learn what the archive holds, so that a directory of millions of names ends early.
    pub directory_bytes: u64,
    /// Bytes of all arrays together after inflating, counted while inflating and not taken from the archive's word.
    pub total_bytes: u64,
    /// Inflated bytes that need no justification by the size of the file: an array of zeros
    /// shrinks a thousandfold and is no attack.
    pub free_bytes: u64,
    /// Beyond [`free_bytes`](Self::free_bytes), inflated bytes allowed for each byte of the file.
    pub ratio: u64,
}

impl NpzLimits {
    /// The limits of [`npz::read`](super::npz::read).
    pub const DEFAULT: Self =
        Self { entries: 4096, directory_bytes: 4 << 20, total_bytes: 4 << 30, free_bytes: 256 << 20, ratio: 100 };

    /// The bytes that the arrays of an archive of `file_bytes` bytes may take together.
    pub(crate) fn inflated_bytes(&self, file_bytes: u64) -> u64 {
        file_bytes.saturating_mul(self.ratio).max(self.free_bytes).min(self.total_bytes)
    }
}

impl Default for NpzLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflated_bytes_grow_with_the_file_between_the_free_part_and_the_total() {
        let limits = NpzLimits::DEFAULT;
        assert_eq!(limits.inflated_bytes(22), 256 << 20);
        assert_eq!(limits.inflated_bytes(10 << 20), 1000 << 20);
        assert_eq!(limits.inflated_bytes(u64::MAX), 4 << 30);
    }
}
