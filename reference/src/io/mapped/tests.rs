//! Mapped arrays hold what the readers read, and refuse what they refuse.

use super::*;
use half::bf16;
use ndarray::{arr0, arr1, arr2};
use std::collections::BTreeMap;
use std::fs;

/// The array as the reader of its format would have given it.
fn values(array: &MappedArray) -> Vec<f64> {
    match array.contents() {
        Contents::Read(array) => array.to_f64().iter().copied().collect(),
        Contents::Bytes(bytes) => match array.dtype_name() {
            "f32" => bytes.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
            "f64" => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            "bf16" => bytes.chunks(2).map(|b| bf16::from_le_bytes(b.try_into().unwrap()).to_f64()).collect(),
            "u8" | "bool" => bytes.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{other}"),
        },
    }
}

fn arrays() -> BTreeMap<String, Array> {
    BTreeMap::from([
        ("a".to_string(), Array::from(arr2(&[[1.0f32, 2.0], [3.0, -4.0]]).into_dyn())),
        ("b".to_string(), Array::from(arr0(7.5f64).into_dyn())),
        ("empty".to_string(), Array::from(ndarray::ArrayD::<f32>::zeros(vec![0, 3]))),
    ])
}

fn raw_npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn members_of_an_archive_stay_where_they_are_and_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    npz::write(&path, &arrays()).unwrap();
    let mapped = open(&path).unwrap();
    let names: Vec<&str> = mapped.iter().map(MappedArray::name).collect();
    assert_eq!(names, ["a", "b", "empty"]);
    assert_eq!((values(&mapped[0]), mapped[0].shape()), (vec![1.0, 2.0, 3.0, -4.0], &[2, 2][..]));
    assert_eq!((values(&mapped[1]), mapped[1].shape()), (vec![7.5], &[][..]));
    assert_eq!(mapped[2].shape(), [0, 3]);
    assert!(mapped.iter().all(|array| matches!(array.contents(), Contents::Bytes(_))));
}

#[test]
fn what_does_not_lie_in_order_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let fortran = raw_npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", &[1, 4, 2, 5, 3, 6]);
    fs::write(&path, fortran).unwrap();
    assert_eq!(values(&open(&path).unwrap()[0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let big = raw_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }\n", &1.5f32.to_be_bytes());
    fs::write(&path, big).unwrap();
    assert_eq!(values(&open(&path).unwrap()[0]), [1.5]);
}

#[test]
fn a_compressed_member_is_read() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("a.npy", options).unwrap();
    let mut npy = Vec::new();
    npy::write_to(&mut npy, &Array::from(arr1(&[0.0f32; 999]).into_dyn())).unwrap();
    archive.write_all(&npy).unwrap();
    archive.finish().unwrap();
    let mapped = open(&path).unwrap();
    assert!(matches!(mapped[0].contents(), Contents::Read(_)));
    assert_eq!(values(&mapped[0]), [0.0; 999]);
}

#[test]
fn words_are_named_bf16() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    npy::write(&path, &Array::from(arr1(&[0x3f80u16, 0xc000]).into_dyn())).unwrap();
    let array = open(&path).unwrap().remove(0).reinterpret("bf16").unwrap();
    assert_eq!((array.dtype_name(), values(&array)), ("bf16", vec![1.0, -2.0]));
    let error = array.reinterpret("f8_e4m3").unwrap_err().to_string();
    assert_eq!(error, "the elements are bf16, not f8_e4m3 as bytes (uint8)");
}

#[test]
fn what_the_readers_refuse_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, bytes, reason) in [
        ("e.npy", vec![], "it ends within its header"),
        (
            "s.npy",
            raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", &[0; 7]),
            "it holds 7 of the 8",
        ),
        (
            "l.npy",
            raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", &[0; 9]),
            "it goes on after the 8",
        ),
        (
            "b.npy",
            raw_npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }\n", &[0, 2]),
            "it holds the byte 2",
        ),
        ("o.npy", raw_npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", &[0; 9]), "it is a pickled"),
        ("x.npz", b"PK".to_vec(), "it is no npz archive"),
        ("x.safetensors", vec![0; 7], "it ends after 7 bytes"),
        ("x.txt", vec![], "it ends in none of .npy, .npz and .safetensors"),
    ] {
        fs::write(at(name), bytes).unwrap();
        let error = open(at(name)).unwrap_err().to_string();
        let found = error.split_once(": ").unwrap().1;
        assert!(found.starts_with(reason), "{error}");
    }
    #[cfg(unix)]
    assert!(open("/dev/null").unwrap_err().to_string().ends_with("it is not a regular file"));
}

#[test]
fn a_folder_gives_every_array_of_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("sub/deep")).unwrap();
    npz::write(at("x.npz"), &arrays()).unwrap();
    npy::write(at("sub/deep/y.npy"), &arrays()["a"]).unwrap();
    fs::write(at("sub/notes.txt"), "").unwrap();
    let found = open_folder(folder.path()).unwrap();
    let names: Vec<&str> = found.arrays.iter().map(MappedArray::name).collect();
    assert_eq!(names, ["sub/deep/y", "x/a", "x/b", "x/empty"]);
    assert_eq!(found.ignored, 1);
    // x/a once more, from another file.
    fs::create_dir(at("x")).unwrap();
    npy::write(at("x/a.npy"), &arrays()["a"]).unwrap();
    let error = open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("two arrays of the folder are called \"x/a\""), "{error}");
}

#[cfg(unix)]
#[test]
fn loops_and_broken_links_are_reported_and_not_skipped() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    symlink("..", folder.path().join("sub/up")).unwrap();
    let error = open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("sub/up: it is a link to a folder that it lies in"), "{error}");
    fs::remove_file(folder.path().join("sub/up")).unwrap();
    symlink("nowhere.npy", folder.path().join("sub/gone.npy")).unwrap();
    let error = open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("gone.npy: no such file or directory"), "{error}");
}
