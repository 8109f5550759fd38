//! The loop: change, read, examine, remember.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use goldref::error::Result;

use crate::allocation::measured;
use crate::mutation;
use crate::random::Random;

/// Executions for each reader unless told otherwise.
const EXECUTIONS: u64 = 20_000;

/// No input of the size that stands here may cost more, whatever a reader states.
const HARD_LIMIT: usize = 64 << 20;

/// Inputs remembered for the reason they are refused for.
const POOL: usize = 400;

/// Bytes of a message: the longest quotes four names of 80 characters, each of which may be spelled with ten bytes.
const MESSAGE: usize = 4000;

/// Longer than any machine needs for an input of at most 64 KiB.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reader of files and what is known of its format.
pub(crate) trait Reader {
    /// What an accepted file is read as.
    type Value;

    /// The folder of the corpus.
    const NAME: &'static str;

    /// Words that mean something in the format.
    const DICTIONARY: &'static [&'static [u8]];

    /// Reads the bytes as if they were a file; nothing of them has been looked at.
    fn read(bytes: &[u8]) -> Result<Self::Value>;

    /// The most memory that a file of `length` bytes may take while it is read.
    fn most_memory(length: usize) -> usize;

    /// Panics when what was read contradicts itself or the bytes.
    fn check(value: &Self::Value, bytes: &[u8]);

    /// A change below the outermost layer, which is put right again; `None` when `bytes` have no such layer.
    fn change_inside(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>>;
}

/// What became of one input.
enum Outcome {
    Accepted,
    Refused(String),
}

/// Runs one reader as the environment asks for it: see the head of `main.rs`.
pub(crate) fn campaign<R: Reader>() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    if let Ok(path) = std::env::var("GOLDREF_FUZZ_FILE") {
        let outcome = match examine::<R>(&fs::read(path).unwrap()).0 {
            Outcome::Accepted => "accepted".to_owned(),
            Outcome::Refused(message) => format!("refused: {message}"),
        };
        eprintln!("{}: {outcome}", R::NAME);
        return;
    }
    run::<R>(number("GOLDREF_FUZZ", EXECUTIONS), number("GOLDREF_FUZZ_SEED", 1));
}

fn run<R: Reader>(executions: u64, seed: u64) {
    let mut pool = corpus::<R>();
    let from_corpus = pool.len();
    let mut reasons = HashSet::new();
    let mut random = Random::new(seed);
    let (mut accepted, mut most, mut slowest) = (0, 0, Duration::ZERO);
    let start = Instant::now();
    for execution in 0..executions {
        let bytes = changed::<R>(&mut random, &pool, from_corpus);
        let began = Instant::now();
        let (outcome, memory) = catch_unwind(AssertUnwindSafe(|| examine::<R>(&bytes)))
            .unwrap_or_else(|_| panic!("execution {execution} of seed {seed} failed; {}", kept::<R>(&bytes)));
        let time = began.elapsed();
        assert!(time < PATIENCE, "execution {execution} of seed {seed} took {time:?}; {}", kept::<R>(&bytes));
        slowest = slowest.max(time);
        most = most.max(memory);
        match outcome {
            Outcome::Accepted => accepted += 1,
            Outcome::Refused(message) => {
                if pool.len() < POOL && reasons.insert(skeleton(&message)) {
                    pool.push(bytes);
                }
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "{}: {executions} executions in {seconds:.1} s, seed {seed}; {accepted} accepted, {} refused; {} reasons remembered; \
         at most {most} bytes of memory and {:.1} ms for one",
        R::NAME,
        executions - accepted,
        reasons.len(),
        slowest.as_secs_f64() * 1e3,
    );
    // A sequence that is only ever refused, or never, proves nothing.
    let share = executions / 100;
    assert!(accepted > share && executions - accepted > share, "{accepted} of {executions} accepted");
}

/// The files of the reader's corpus. Those whose names begin with `refused` must be refused, the others accepted.
fn corpus<R: Reader>() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(R::NAME);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut pool = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let wanted = !path.file_name().unwrap().to_string_lossy().starts_with("refused");
        match examine::<R>(&bytes).0 {
            Outcome::Accepted => assert!(wanted, "{} is accepted", path.display()),
            Outcome::Refused(message) => assert!(!wanted, "{} is refused: {message}", path.display()),
        }
        pool.push(bytes);
    }
    assert!(pool.len() > 2, "{} has no corpus", R::NAME);
    pool
}

/// The next input: a file of the pool, whose first `corpus` are the corpus, changed inside, outside or both.
fn changed<R: Reader>(random: &mut Random, pool: &[Vec<u8>], corpus: usize) -> Vec<u8> {
    // Half of all start from a file of the corpus, for the rest of the pool is only ever refused.
    let known = if random.one_in(2) { corpus } else { pool.len() };
    let entry = &pool[random.below(known)];
    let other = &pool[random.below(pool.len())];
    let inside = if random.one_in(3) { None } else { R::change_inside(random, entry, other) };
    let outside = inside.is_none() || random.one_in(4);
    let mut bytes = inside.unwrap_or_else(|| entry.clone());
    if outside {
        mutation::change(random, &mut bytes, other, R::DICTIONARY);
    }
    bytes
}

/// Reads one input and examines what comes of it; panics when it is neither accepted nor refused as it should be.
fn examine<R: Reader>(bytes: &[u8]) -> (Outcome, usize) {
    let (result, memory) = measured(|| R::read(bytes));
    let limit = R::most_memory(bytes.len()).min(HARD_LIMIT);
    assert!(memory <= limit, "{memory} bytes of memory for {} bytes of file; {limit} are allowed", bytes.len());
    let outcome = match result {
        Ok(value) => {
            R::check(&value, bytes);
            Outcome::Accepted
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.chars().any(char::is_control), "control characters in {message:?}");
            assert!(message.len() < MESSAGE, "a message of {} bytes: {message}", message.len());
            Outcome::Refused(message)
        }
    };
    (outcome, memory)
}

/// A message without what differs from file to file: its quoted parts and its numbers.
fn skeleton(message: &str) -> String {
    let plain = message.replace("\\\"", "");
    let outside_quotes: String = plain.split(['"', '`']).step_by(2).collect();
    outside_quotes.chars().filter(|c| !c.is_ascii_digit()).take(80).collect()
}

/// Where a failing input was written, in words.
fn kept<R: Reader>(bytes: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.failing", R::NAME));
    match fs::write(&path, bytes) {
        Ok(()) => format!("GOLDREF_FUZZ_FILE={} reads it again", path.display()),
        Err(e) => format!("it could not be written to {}: {e}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use goldref::error::Error;

    /// A reader with a fault for each thing that the loop must see. The files start with a letter that names it.
    struct Faulty;

    impl Reader for Faulty {
        type Value = u8;
        const NAME: &'static str = "npy";
        const DICTIONARY: &'static [&'static [u8]] = &[b"x"];

        fn read(bytes: &[u8]) -> Result<u8> {
            match bytes[0] {
                b'm' => drop(vec![0u8; 90_000]),
                b'c' => return Err(Error::Ask("an escape \u{1b}[2J".into())),
                b'l' => return Err(Error::read("x", "long".repeat(2000))),
                b'p' => panic!("planted"),
                _ => {}
            }
            Ok(bytes[0])
        }

        fn most_memory(length: usize) -> usize {
            40_000 * length
        }

        fn check(&value: &u8, _: &[u8]) {
            assert_ne!(value, b'w', "planted");
        }

        fn change_inside(_: &mut Random, _: &[u8], _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }

    #[test]
    fn each_kind_of_fault_is_seen() {
        for fault in [b"m", b"l", b"p", b"w"] {
            assert!(catch_unwind(|| examine::<Faulty>(fault)).is_err(), "{fault:?}");
        }
        // An error is shown harmlessly, whatever it was made of.
        assert!(matches!(examine::<Faulty>(b"c").0, Outcome::Refused(_)));
        assert!(matches!(examine::<Faulty>(b"g").0, Outcome::Accepted));
        // Three bytes of file justify what one does not.
        assert!(matches!(examine::<Faulty>(b"mmm").0, Outcome::Accepted));
    }

    #[test]
    fn reasons_differ_by_their_words_and_not_by_names_or_numbers() {
        assert_eq!(skeleton("array \"a1\" has 7 bytes"), skeleton("array \"b\" has 65 bytes"));
        assert_ne!(skeleton("array \"a\" has 7 bytes"), skeleton("array \"a\" has 7 axes"));
    }
}
