//! The tokens of an answer, before they are judged.

use crate::io::Array;
use ndarray::{Array2, Ix2};
use std::collections::BTreeMap;

/// The array `tokens` of an answer: `[batch, count]`, whole numbers of an integer type, each below `vocab`. `Err` says what it is instead, as the
/// end of a sentence; it holds no value that the program chose.
pub fn read_tokens(
    arrays: &BTreeMap<String, Array>,
    [batch, count]: [usize; 2],
    vocab: usize,
) -> Result<Array2<i64>, String> {
    let Some(tokens) = arrays.get("tokens") else { return Err("wrote no array \"tokens\"".to_string()) };
    if tokens.shape() != [batch, count] {
        return Err(format!("wrote tokens of shape {:?}; they must be [{batch}, {count}]", tokens.shape()));
    }
    let of_integers = matches!(tokens.dtype_name(), "i64" | "i32" | "i16" | "i8" | "u64" | "u32" | "u16" | "u8");
    let integers = tokens.to_i64().ok().filter(|_| of_integers);
    let Some(integers) = integers.and_then(|tokens| tokens.into_dimensionality::<Ix2>().ok()) else {
        return Err(format!("wrote tokens of type {}; they must be integers, as int64", tokens.dtype_name()));
    };
    let outside = |token: &i64| usize::try_from(*token).map_or(true, |token| token >= vocab);
    match integers.indexed_iter().find(|(_, token)| outside(token)) {
        None => Ok(integers),
        Some(((_, t), _)) => Err(format!(
            "wrote as token {} of {count} a number that is none of the vocabulary's, which are 0 to {}",
            t + 1,
            vocab.saturating_sub(1)
        )),
    }
}

/// Tokens that may come again and again.
const PERIODS: usize = 4;

/// Whether the second half of a text repeats what stands 1, 2, 3 or 4 tokens before it, all along: then whoever knows its first half knows it all,
/// and computes nothing. A single token is no repetition.
pub fn repeats_itself(tokens: &[i64]) -> bool {
    let half = tokens.len() / 2;
    (1..=PERIODS).any(|period| {
        let from = half.max(period);
        from < tokens.len() && (from..tokens.len()).all(|t| tokens[t] == tokens[t - period])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, arr2};

    fn read(array: Array) -> Result<Array2<i64>, String> {
        read_tokens(&BTreeMap::from([("tokens".to_string(), array)]), [1, 3], 100)
    }

    #[test]
    fn whole_numbers_of_any_width_are_tokens() {
        for array in [
            Array::I64(arr2(&[[1, 2, 99]]).into_dyn()),
            Array::I32(arr2(&[[1, 2, 99]]).into_dyn()),
            Array::I8(arr2(&[[1, 2, 99]]).into_dyn()),
            Array::U64(arr2(&[[1, 2, 99]]).into_dyn()),
            Array::U8(arr2(&[[1, 2, 99]]).into_dyn()),
        ] {
            assert_eq!(read(array).unwrap(), arr2(&[[1, 2, 99]]));
        }
    }

    #[test]
    fn everything_else_is_none() {
        let long = ArrayD::from_elem(vec![1, 3], u64::MAX);
        for (array, how) in [
            (Array::I64(arr2(&[[1], [2], [3]]).into_dyn()), "[3, 1]; they must be [1, 3]"),
            (Array::I64(ndarray::arr1(&[1, 2, 3]).into_dyn()), "shape [3]"),
            (Array::F64(arr2(&[[1.0, 2.0, 3.0]]).into_dyn()), "they must be integers"),
            (Array::F32(arr2(&[[1.0, 2.0, 3.000_000_2]]).into_dyn()), "they must be integers"),
            (Array::Bool(arr2(&[[true, false, true]]).into_dyn()), "they must be integers"),
            (Array::U64(long), "they must be integers"),
            (Array::I64(arr2(&[[1, -1, 3]]).into_dyn()), "as token 2 of 3 a number that is none of the vocabulary's"),
            // 200 in eight bits.
            (Array::I8(arr2(&[[1, 2, -56]]).into_dyn()), "as token 3 of 3"),
            (Array::I64(arr2(&[[100, 2, 3]]).into_dyn()), "which are 0 to 99"),
            (Array::I64(arr2(&[[1, i64::MIN, i64::MAX]]).into_dyn()), "as token 2 of 3"),
        ] {
            let said = read(array.clone()).unwrap_err();
            assert!(said.contains(how), "{array:?}: {said}");
        }
        assert!(read_tokens(&BTreeMap::new(), [1, 3], 100).unwrap_err().contains("no array \"tokens\""));
    }

    #[test]
    fn a_text_that_goes_round_is_known_from_its_first_half() {
        for round in
            [&[7, 7][..], &[1, 5, 5, 5], &[1, 2, 1, 2, 1, 2], &[9, 1, 2, 3, 1, 2, 3, 1], &[4, 1, 2, 3, 4, 1, 2, 3, 4]]
        {
            assert!(repeats_itself(round), "{round:?}");
        }
        for told in [&[][..], &[7], &[7, 8], &[1, 1, 1, 1, 1, 2], &[1, 2, 3, 4, 5, 6, 7, 8], &[5, 5, 5, 5, 6, 7]] {
            assert!(!repeats_itself(told), "{told:?}");
        }
    }
}
