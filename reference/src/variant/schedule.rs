//! Into which calls a sequence is cut. The answer does not depend on it; that is what is tested.

/// A way to cut a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// As the case says: its `steps`, or one call.
    AsAsked,
    /// The first half in one call, then token by token.
    TokenByToken,
    /// Calls of this many tokens, the last one shorter.
    Chunked(usize),
}

impl Schedule {
    /// Lengths of the calls for a sequence of `len` tokens; `asked` is what the case says.
    pub fn calls(self, len: usize, asked: Option<&[usize]>) -> Vec<usize> {
        match self {
            Self::AsAsked => asked.map_or_else(|| vec![len], <[usize]>::to_vec),
            Self::TokenByToken => {
                let prefill = len.div_ceil(2);
                std::iter::once(prefill).chain(std::iter::repeat_n(1, len - prefill)).collect()
            }
            Self::Chunked(size) => {
                let size = size.max(1);
                (0..len.div_ceil(size)).map(|i| size.min(len - i * size)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_cover_the_sequence() {
        assert_eq!(Schedule::AsAsked.calls(5, None), [5]);
        assert_eq!(Schedule::AsAsked.calls(5, Some(&[3, 2])), [3, 2]);
        assert_eq!(Schedule::TokenByToken.calls(5, Some(&[3, 2])), [3, 1, 1]);
        assert_eq!(Schedule::TokenByToken.calls(1, None), [1]);
        assert_eq!(Schedule::Chunked(3).calls(7, None), [3, 3, 1]);
        for len in 1..40 {
            for schedule in [Schedule::TokenByToken, Schedule::Chunked(3), Schedule::Chunked(100)] {
                let calls = schedule.calls(len, None);
                assert_eq!(calls.iter().sum::<usize>(), len);
                assert!(calls.iter().all(|&n| n > 0));
            }
        }
    }
}
