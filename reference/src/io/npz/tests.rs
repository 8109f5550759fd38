//! Archives of our own, of the zip crate, and ones no honest program writes.

use super::*;
use crate::io::npy::tests::{file, written};
use ndarray::{arr0, arr1, arr2};
use std::path::PathBuf;

fn arrays() -> BTreeMap<String, Array> {
    BTreeMap::from([
        ("out".to_owned(), Array::from(arr2(&[[1.5f32, -2.0]]).into_dyn())),
        ("layers.0.attn.probs".to_owned(), Array::from(arr1(&[0.25f64; 40]).into_dyn())),
        ("mask".to_owned(), Array::from(arr0(true).into_dyn())),
    ])
}

/// A zip archive of these members, whatever their names and contents.
pub(crate) fn zip_of(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn stored(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_of(members, CompressionMethod::Stored)
}

fn one() -> Vec<u8> {
    written(&Array::from(arr1(&[1u8, 2, 3]).into_dyn()))
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("x.npz")
    }

    fn read(&self, bytes: &[u8], limits: &NpzLimits) -> Result<BTreeMap<String, Array>> {
        std::fs::write(self.path(), bytes).unwrap();
        read_within(self.path(), limits)
    }

    /// The reason behind the path.
    fn refusal(&self, bytes: &[u8], limits: &NpzLimits) -> String {
        let error = self.read(bytes, limits).unwrap_err().to_string();
        let start = format!("cannot read {}: ", self.path().display());
        error.strip_prefix(&start).unwrap().to_owned()
    }
}

fn refusal(bytes: &[u8]) -> String {
    Folder::new().refusal(bytes, &NpzLimits::DEFAULT)
}

/// Replaces every occurrence of `old` by `new`, which has the same length.
fn patched(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..=bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

#[test]
fn what_is_written_is_read_back() {
    let folder = Folder::new();
    write(folder.path(), &arrays()).unwrap();
    assert_eq!(read(folder.path()).unwrap(), arrays());
    write(folder.path(), &BTreeMap::new()).unwrap();
    assert_eq!(read(folder.path()).unwrap(), BTreeMap::new());
}

#[test]
fn the_same_arrays_give_the_same_bytes() {
    let (first, second) = (Folder::new(), Folder::new());
    write(first.path(), &arrays()).unwrap();
    write(second.path(), &arrays()).unwrap();
    let bytes = std::fs::read(first.path()).unwrap();
    assert_eq!(bytes, std::fs::read(second.path()).unwrap());
    // 1980-01-01 00:00 in the words of MS-DOS: day 1, month 1, year 0; it stands in the local header.
    assert_eq!(bytes[10..14], [0, 0, 0x21, 0]);
    let name = bytes.windows(19).position(|w| w == b"layers.0.attn.probs");
    assert!(name < bytes.windows(4).position(|w| w == b"mask"));
}

#[test]
fn deflated_members_are_read() {
    let probs = Array::from(arr1(&[0.25f64; 4000]).into_dyn());
    let bytes = zip_of(&[("probs.npy", &written(&probs))], CompressionMethod::Deflated);
    assert!(bytes.len() < 1000);
    let read = Folder::new().read(&bytes, &NpzLimits::DEFAULT).unwrap();
    assert_eq!(read, BTreeMap::from([("probs".to_owned(), probs)]));
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, reason) in [
        ("../out.npy", "member \"../out.npy\" has \"..\" in its name"),
        ("a/../../out.npy", "member \"a/../../out.npy\" has \"..\" in its name"),
        ("/etc/out.npy", "member \"/etc/out.npy\" has an absolute path for a name"),
        ("C:out.npy", "member \"C:out.npy\" has an absolute path for a name"),
        ("a\\b.npy", "member \"a\\\\b.npy\" has a backslash in its name"),
        (".npy", "member \".npy\" has an empty name"),
        ("\u{1b}[2J.npy", "member \"\\u{1b}[2J.npy\" has a control character in its name"),
        ("run.py", "member \"run.py\" does not end in .npy; an npz archive holds arrays and nothing else"),
    ] {
        assert_eq!(refusal(&stored(&[(name, &one())])), reason);
    }
    let inside = Folder::new().read(&stored(&[("a/b.npy", &one())]), &NpzLimits::DEFAULT);
    assert!(inside.unwrap().contains_key("a/b"));
}

#[test]
fn a_name_that_could_not_be_read_is_not_written() {
    let folder = Folder::new();
    for name in ["", "../x", "/x", "a\\b"] {
        let array = Array::from(arr0(1u8).into_dyn());
        let error = write(folder.path(), &BTreeMap::from([(name.to_owned(), array)]));
        assert!(error.unwrap_err().to_string().starts_with("cannot write"), "{name}");
    }
    assert!(!folder.path().exists());
}

#[test]
fn a_name_that_stands_there_twice_is_refused() {
    let bytes = stored(&[("a.npy", &one()), ("b.npy", &one())]);
    assert_eq!(refusal(&patched(&bytes, b"b.npy", b"a.npy")), "a name stands there twice");
}

#[test]
fn encrypted_and_strangely_compressed_members_are_refused() {
    let bytes = stored(&[("a.npy", &one())]);
    // The flags follow the version in the local header (offset 6) and in the directory (offset 8).
    let mut encrypted = bytes.clone();
    let directory = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    encrypted[6] |= 1;
    encrypted[directory + 8] |= 1;
    assert_eq!(refusal(&encrypted), "member \"a.npy\" is encrypted; save without a password");
    let mut lzma = bytes;
    lzma[8] = 14;
    lzma[directory + 10] = 14;
    let found = refusal(&lzma);
    assert!(found.starts_with("member \"a.npy\" is compressed by"), "{found}");
}

#[test]
fn too_many_members_and_too_long_a_directory_are_refused() {
    let members: Vec<(String, Vec<u8>)> = (0..5).map(|i| (format!("a{i}.npy"), one())).collect();
    let members: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let bytes = stored(&members);
    let folder = Folder::new();
    let few = NpzLimits { entries: 4, ..NpzLimits::DEFAULT };
    assert_eq!(folder.refusal(&bytes, &few), "it holds 5 arrays, more than 4");
    let short = NpzLimits { directory_bytes: 128, ..NpzLimits::DEFAULT };
    let expected = "the directory of the archive is longer than 128 bytes";
    assert_eq!(folder.refusal(&bytes, &short), expected);
    let enough = NpzLimits { entries: 5, ..NpzLimits::DEFAULT };
    assert_eq!(folder.read(&bytes, &enough).unwrap().len(), 5);
}

#[test]
fn a_bomb_is_refused_by_what_it_inflates_to() {
    let zeros = written(&Array::from(arr1(&[0u8; 1 << 20]).into_dyn()));
    let bytes = zip_of(&[("a.npy", &zeros), ("b.npy", &zeros)], CompressionMethod::Deflated);
    assert!(bytes.len() < 4096, "a ratio of 500");
    let folder = Folder::new();
    // Each alone fits, both together do not.
    let limits = NpzLimits { free_bytes: 3 << 19, ..NpzLimits::DEFAULT };
    let found = folder.refusal(&bytes, &limits);
    assert!(found.starts_with("its arrays inflate to more than the 1536 KiB"), "{found}");
    let total = NpzLimits { total_bytes: 3 << 19, ..NpzLimits::DEFAULT };
    assert!(folder.read(&bytes, &total).is_err());
    let exact = NpzLimits { free_bytes: 2 * zeros.len() as u64, ..NpzLimits::DEFAULT };
    assert_eq!(folder.read(&bytes, &exact).unwrap().len(), 2);
    let ratio = NpzLimits { free_bytes: 0, ratio: 1000, ..NpzLimits::DEFAULT };
    assert_eq!(folder.read(&bytes, &ratio).unwrap().len(), 2);
}

#[test]
fn sizes_in_the_directory_are_claims() {
    let zeros = written(&Array::from(arr1(&[0u8; 5000]).into_dyn()));
    let bytes = zip_of(&[("a.npy", &zeros)], CompressionMethod::Deflated);
    let claimed = (zeros.len() as u32).to_le_bytes();
    let (folder, limits) = (Folder::new(), NpzLimits::DEFAULT);
    for claim in [1u32, 4000, 5127, 5129, 0x7fff_ffff] {
        let lying = patched(&bytes, &claimed, &claim.to_le_bytes());
        // More may be claimed, since nothing is taken for it; less is a lie that shows in reading.
        match folder.read(&lying, &limits) {
            Ok(arrays) => assert!(claim > 5128 && arrays["a"].len() == 5000),
            Err(e) => assert!(claim < 5128, "{claim}: {e}"),
        }
    }
}

#[test]
fn a_damaged_member_is_refused_and_so_are_its_headers() {
    let bytes = stored(&[("out.npy", &one())]);
    let damaged = patched(&bytes, &[1, 2, 3], &[1, 2, 4]);
    assert_eq!(refusal(&damaged), "array \"out\" cannot be read: invalid checksum");
    let object = file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &[0; 8]);
    assert_eq!(
        refusal(&stored(&[("out.npy", &object)])),
        "array \"out\" is a pickled object array; \
         save plain numbers with numpy.savez(..., out=numpy.asarray(out))"
    );
    let huge = file("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000,), }", &[]);
    assert_eq!(
        refusal(&stored(&[("out.npy", &huge)])),
        "array \"out\" holds 0 of the 8000000 bytes of data that its shape (1000000,) asks for"
    );
    assert!(refusal(b"not a zip").starts_with("it is no npz archive: "));
    assert!(refusal(&one()).starts_with("it is no npz archive: "));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = zip_of(&[("a.npy", &one()), ("b.npy", &one())], CompressionMethod::Deflated);
    let folder = Folder::new();
    for length in 0..bytes.len() {
        assert!(folder.read(&bytes[..length], &NpzLimits::DEFAULT).is_err(), "{length}");
    }
}
