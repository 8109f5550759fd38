//! What is read, what is refused and in which words, and what is written.

use super::*;
use crate::io::elements::Kind;
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, arr0, arr2};
use proptest::prelude::*;

/// An npy file of version 1.0 with this text for a header.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n")
}

fn plain(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    file(&header(&format!("'{descr}'"), "False", shape), data)
}

fn read_bytes(bytes: &[u8]) -> Result<Array> {
    let room = Room::Exactly(bytes.len() as u64);
    read_from(bytes, Source { path: Path::new("x.npy"), name: None, room })
}

/// The reason behind `cannot read x.npy: `; both ways to read must refuse in the same words.
fn refusal(bytes: &[u8]) -> String {
    let path = Path::new("x.npy");
    let streamed = read_from(bytes, Source { path, name: None, room: Room::AtMost(1 << 32) });
    let error = read_bytes(bytes).unwrap_err().to_string();
    assert_eq!(streamed.unwrap_err().to_string(), error);
    error.strip_prefix("cannot read x.npy: ").unwrap().to_owned()
}

pub(crate) fn written(array: &Array) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, array).unwrap();
    bytes
}

const KINDS: [Kind; 14] = [
    Kind::F64,
    Kind::F32,
    Kind::F16,
    Kind::Bf16,
    Kind::F8E4M3,
    Kind::I64,
    Kind::I32,
    Kind::I16,
    Kind::I8,
    Kind::U64,
    Kind::U32,
    Kind::U16,
    Kind::U8,
    Kind::Bool,
];

/// Any array of up to four axes, NaNs of every payload included.
fn arrays() -> impl Strategy<Value = Array> {
    let shape = proptest::collection::vec(0usize..5, 0..=4);
    (shape, 0..KINDS.len(), any::<u64>()).prop_map(|(shape, kind, seed)| {
        let kind = KINDS[kind];
        let mut state = seed;
        let count = shape.iter().product::<usize>() * kind.size();
        let bytes: Vec<u8> = (0..count)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let byte = (state >> 56) as u8;
                if kind == Kind::Bool { byte & 1 } else { byte }
            })
            .collect();
        let stored = Stored { kind, shape: &shape, fortran_order: false, big_endian: false, present: true };
        elements::read(&stored, &mut &bytes[..]).unwrap()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_to_the_bit(array in arrays()) {
        let bytes = written(&array);
        // The start of the data is aligned, as NumPy does for memory maps.
        let data = array.len() * match &array {
            Array::F64(_) | Array::I64(_) | Array::U64(_) => 8,
            Array::F32(_) | Array::I32(_) | Array::U32(_) => 4,
            Array::F16(_) | Array::Bf16(_) | Array::I16(_) | Array::U16(_) => 2,
            _ => 1,
        };
        prop_assert_eq!((bytes.len() - data) % 64, 0);
        let back = read_bytes(&bytes).unwrap();
        // bf16 and f8_e4m3 come back as the words NumPy can hold, and are named again.
        let back = back.reinterpret(array.dtype_name()).unwrap();
        prop_assert_eq!(back.shape(), array.shape());
        prop_assert_eq!(written(&back), bytes);
    }

    #[test]
    fn an_independent_reader_reads_what_is_written(
        values in proptest::collection::vec(any::<f64>(), 6)
    ) {
        let array = ArrayD::from_shape_vec(IxDyn(&[2, 3]), values.clone()).unwrap();
        let bytes = written(&Array::from(array));
        let foreign = npyz::NpyFile::new(&bytes[..]).unwrap();
        prop_assert_eq!(foreign.shape(), &[2, 3]);
        prop_assert_eq!(foreign.into_vec::<f64>().unwrap(), values);
    }
}

#[test]
fn both_axis_orders_of_an_independent_writer_are_read() {
    use npyz::WriterBuilder;
    for order in [npyz::Order::C, npyz::Order::Fortran] {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().order(order).shape(&[2, 3]);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend([1i32, 2, 3, 4, 5, 6]).unwrap();
        writer.finish().unwrap();
        let expected = match order {
            npyz::Order::C => arr2(&[[1, 2, 3], [4, 5, 6]]),
            npyz::Order::Fortran => arr2(&[[1, 3, 5], [2, 4, 6]]),
        };
        let array = read_bytes(&bytes).unwrap();
        assert_eq!(array, Array::from(expected.into_dyn()), "{order:?}");
        assert!(matches!(array, Array::I32(a) if a.is_standard_layout()));
    }
}

#[test]
fn each_version_and_both_byte_orders_are_read() {
    let one = Array::from(arr0(1.5f64).into_dyn());
    assert_eq!(read_bytes(&plain("<f8", "()", &1.5f64.to_le_bytes())).unwrap(), one);
    assert_eq!(read_bytes(&plain(">f8", "()", &1.5f64.to_be_bytes())).unwrap(), one);
    let text = header("'<f8'", "False", "()");
    for version in [2, 3] {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend_from_slice(&[version, 0]);
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&1.5f64.to_le_bytes());
        assert_eq!(read_bytes(&bytes).unwrap(), one, "version {version}");
    }
}

#[test]
fn big_endian_and_fortran_order_together() {
    let data: Vec<u8> = [1i16, 2, 3, 4, 5, 6].iter().flat_map(|x| x.to_be_bytes()).collect();
    let bytes = file(&header("'>i2'", "True", "(3, 2)"), &data);
    let expected = arr2(&[[1i16, 4], [2, 5], [3, 6]]).into_dyn();
    assert_eq!(read_bytes(&bytes).unwrap(), Array::from(expected));
}

#[test]
fn small_formats_are_stored_as_the_words_of_their_bits() {
    let words = read_bytes(&written(&Array::from(arr0(bf16::ONE).into_dyn()))).unwrap();
    assert_eq!(words, Array::from(arr0(0x3f80u16).into_dyn()));
    let bytes = read_bytes(&written(&Array::F8E4M3(arr0(0x7e).into_dyn()))).unwrap();
    assert_eq!(bytes, Array::from(arr0(0x7eu8).into_dyn()));
    let half = Array::from(arr0(f16::ONE).into_dyn());
    assert_eq!(read_bytes(&written(&half)).unwrap(), half);
}

#[test]
fn each_dtype_that_is_no_plain_number_is_refused_with_a_remedy() {
    for (descr, reason) in [
        ("'|O'", "it is a pickled object array; save plain numbers with numpy.save(..., numpy.asarray(array))"),
        ("[('a', '<f4'), ('b', '<i4')]", "it has a structured dtype; save each field as an array of its own"),
        ("('<f4', (2,))", "it has a structured dtype; save each field as an array of its own"),
        ("'<U5'", "it holds text (dtype \"<U5\"); save plain numbers"),
        ("'|S3'", "it holds text (dtype \"|S3\"); save plain numbers"),
        ("'<M8[ns]'", "it holds dates or durations (dtype \"<M8[ns]\"); save plain numbers"),
        ("'<c16'", "it holds complex numbers (dtype \"<c16\"); save .real and .imag as arrays of their own"),
        (
            "'<V2'",
            "it holds raw 2-byte records (dtype \"<V2\", as ml_dtypes.bfloat16 is saved); save the words with .view(numpy.uint16) and name the dtype bf16",
        ),
        ("'|V24'", "it holds raw records (dtype \"|V24\"); save plain numbers"),
        (
            "'<f16'",
            "it holds long doubles (dtype \"<f16\"), which differ between machines; save with .astype(numpy.float64)",
        ),
        ("'<f3'", "it has the unknown dtype \"<f3\""),
        ("'|f8'", "it has the dtype \"|f8\", which does not say its byte order; '<' or '>' goes before it"),
        ("''", "it has an empty dtype"),
        ("'\u{1b}[2J'", "it has the unknown dtype \"\\u{1b}[2J\""),
    ] {
        assert_eq!(refusal(&file(&header(descr, "False", "(1,)"), &[0; 24])), reason);
    }
}

#[test]
fn the_advice_for_a_pickled_member_names_the_member() {
    let bytes = plain("|O", "(1,)", &[0; 8]);
    let path = Path::new("x.npz");
    let say = |name| {
        let source = Source { path, name: Some(name), room: Room::AtMost(1 << 20) };
        read_from(&bytes[..], source).unwrap_err().to_string()
    };
    assert_eq!(
        say("out"),
        "cannot read x.npz: array \"out\" is a pickled object array; \
         save plain numbers with numpy.savez(..., out=numpy.asarray(out))"
    );
    assert!(say("layers.0").ends_with("numpy.savez(..., array=numpy.asarray(array))"));
}

#[test]
fn headers_that_say_nothing_or_too_much_are_refused() {
    let ok = header("'<f4'", "False", "(1,)");
    for (text, reason) in [
        (String::new(), "has a malformed header (at byte 0"),
        ("{}".into(), "has a header without \"descr\""),
        (ok.replace("'shape': (1,), ", ""), "has a header without \"shape\""),
        (ok.replace("'shape'", "'size'"), "has the unknown key \"size\""),
        (ok.replace("'fortran_order': False", "'descr': '<f4'"), "has the key \"descr\" twice"),
        (ok.replace("False", "0"), "has a malformed header"),
        (ok.replace("(1,)", "1"), "has a malformed header"),
        (ok.replace("(1,)", "(1)"), "has a malformed header"),
        (ok.replace("(1,)", "(1, -3)"), "has a negative length in its shape"),
        (ok.replace("(1,)", "(1.0,)"), "has a malformed header"),
        (ok.replace("(1,)", "(99999999999999999999,)"), "has a length in its shape that no memory"),
        (ok.replace("(1,)", "(1152921504606846976,)"), "asks for more than 4 GiB"),
        (ok.replace("(1,)", "(4294967296, 4294967296)"), "asks for more than 4 GiB"),
        (ok.replace("(1,)", "(1152921504606846976, 0)"), "asks for more than 4 GiB"),
        (ok.replace("(1,)", &format!("({})", "1, ".repeat(65))), "has 65 axes, more than the 64"),
        (ok.replace('}', "} + 1"), "has a malformed header"),
        (ok.replace('}', ""), "has a malformed header"),
        ("[".repeat(60_000), "has a malformed header"),
        (ok.replace("(1,)", &"(".repeat(60_000)), "has a malformed header"),
    ] {
        let found = refusal(&file(&text, &[0; 4]));
        assert!(found.contains(reason), "{found:?} for {reason:?}");
    }
    // What NumPy accepts beyond its own spelling.
    for text in
        [ok.replace('\'', "\""), ok.replace("(1,)", "(1L,)"), ok.replace(", }", "}"), ok.replace([' ', '\n'], "")]
    {
        assert_eq!(read_bytes(&file(&text, &[0; 4])).unwrap().shape(), [1], "{text}");
    }
}

#[test]
fn the_length_of_a_header_is_not_believed() {
    let mut bytes = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    assert_eq!(refusal(&bytes), "it has a header of 4294967295 bytes, more than 64 KiB");
    bytes[8..12].copy_from_slice(&60_000u32.to_le_bytes());
    assert_eq!(refusal(&bytes), "it ends within its header");
    bytes[6] = 4;
    assert!(refusal(&bytes).starts_with("it has version 4.0 of the npy format"));
    assert_eq!(refusal(b"PK\x03\x04...."), "it does not begin as a NumPy array file does");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = written(&Array::from(arr2(&[[1i64, 2], [3, 4]]).into_dyn()));
    for length in 0..whole.len() {
        let found = refusal(&whole[..length]);
        let expected = match length.checked_sub(128) {
            None => "it ends within its header".to_owned(),
            Some(data) => {
                format!("it holds {data} of the 32 bytes of data that its shape (2, 2) asks for")
            }
        };
        assert_eq!(found, expected);
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(refusal(&longer).starts_with("it goes on after the 32 bytes of data"));
}

#[test]
fn a_sparse_file_of_a_terabyte_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    std::fs::write(&path, plain("<f8", "(137438953472,)", &[])).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.ends_with("which asks for more than 4 GiB"), "{error}");
}

#[test]
fn a_written_file_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let array = Array::from(arr2(&[[true, false]]).into_dyn());
    write(&path, &array).unwrap();
    assert_eq!(read(&path).unwrap(), array);
}

#[test]
fn a_view_in_another_layout_is_written_in_c_order() {
    let transposed = arr2(&[[1u8, 2, 3], [4, 5, 6]]).reversed_axes().into_dyn();
    assert!(!transposed.is_standard_layout());
    let back = read_bytes(&written(&Array::from(transposed.clone()))).unwrap();
    assert_eq!(back, Array::from(transposed));
}
