//! Lines of a program's output, by a thread that reads: whoever waits can wait for a limited time.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest line.
const LONGEST: u64 = 64 << 10;
/// Lines that wait to be read; a program that writes more has to wait.
const WAITING: usize = 4;
/// Bytes of standard error that are kept, the last ones.
const TAIL: usize = 2000;

/// What a program wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// The same, and more was written with it.
    TextAndMore(Vec<u8>),
    /// More than 64 KiB without an end of line; nothing is read after it.
    TooLong,
}

/// What has come of the lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Line(Line),
    /// No line so far.
    Nothing,
    /// There will be no more.
    End,
}

/// The lines that wait, shared by who reads them and who takes them.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Line>,
    /// Nothing comes behind those that wait.
    ended: bool,
    /// Nobody will take them.
    unwanted: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room; whether the line is wanted.
    fn put(&self, line: Line) -> bool {
        let full = |queue: &mut Queue| queue.waiting.len() >= WAITING && !queue.unwanted;
        let mut queue = self.changed.wait_while(self.queue(), full).unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back(line);
        self.changed.notify_all();
        !queue.unwanted
    }
}

/// The reader's end: when it goes, for whatever reason, no line comes any more.
struct Sending(Arc<Shared>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.queue().ended = true;
        self.0.changed.notify_all();
    }
}

/// Lines of an output.
#[derive(Debug)]
pub(super) struct Lines(Arc<Shared>);

impl Lines {
    /// Those of no output.
    pub(super) fn none() -> Self {
        let shared = Arc::new(Shared::default());
        shared.queue().ended = true;
        Self(shared)
    }

    /// Reads lines until the output ends.
    pub(super) fn of(output: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let sending = Sending(Arc::clone(&shared));
        let output: Box<dyn Read + Send> = Box::new(output);
        thread::spawn(move || send_lines(output, &sending.0));
        Self(shared)
    }

    /// The next line, waiting for it at most so long.
    pub(super) fn next_within(&self, limit: Duration) -> Next {
        let nothing = |queue: &mut Queue| queue.waiting.is_empty() && !queue.ended;
        let waited = self.0.changed.wait_timeout_while(self.0.queue(), limit, nothing);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.0.changed.notify_all();
        match queue.waiting.pop_front() {
            Some(line) => Next::Line(line),
            None if queue.ended => Next::End,
            None => Next::Nothing,
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.queue().unwanted = true;
        self.0.changed.notify_all();
    }
}

fn send_lines(output: Box<dyn Read + Send>, shared: &Shared) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let read = output.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line);
        let line = match read {
            Ok(0) | Err(_) => return,
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                if output.buffer().is_empty() { Line::Text(line) } else { Line::TextAndMore(line) }
            }
            Ok(read) if read as u64 > LONGEST => Line::TooLong,
            // The output ended within a line: nobody finished saying it.
            Ok(_) => return,
        };
        let last = line == Line::TooLong;
        if !shared.put(line) || last {
            return;
        }
    }
}

/// The last bytes of an output that is read to its end, or closed when it is too long.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    /// The output is read to its end.
    ended: Arc<AtomicBool>,
    /// It was too long.
    too_long: Arc<AtomicBool>,
}

impl Tail {
    /// Reads in a thread of its own, at most so many bytes.
    pub(super) fn of(output: impl Read + Send + 'static, most: u64) -> Self {
        let mut output: Box<dyn Read + Send> = Box::new(output);
        let tail = Self::default();
        let Self { kept, ended, too_long } = tail.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut all = 0;
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                all += read as u64;
                if all > most {
                    too_long.store(true, Ordering::Release);
                    break;
                }
                let Ok(mut kept) = kept.lock() else { return };
                kept.extend_from_slice(&bytes[..read]);
                let surplus = kept.len().saturating_sub(TAIL);
                kept.drain(..surplus);
            }
            ended.store(true, Ordering::Release);
        });
        tail
    }

    /// Whether it was closed because it was too long.
    pub(super) fn was_too_long(&self) -> bool {
        self.too_long.load(Ordering::Acquire)
    }

    /// The last lines of all there is, of what came within `limit` if a child of the program still holds the output.
    pub(super) fn text_at_end(&self, limit: Duration) -> String {
        let begin = Instant::now();
        while !self.ended.load(Ordering::Acquire) && begin.elapsed() < limit {
            thread::sleep(Duration::from_millis(1));
        }
        self.text()
    }

    /// The last lines so far.
    pub(super) fn text(&self) -> String {
        let bytes = self.kept.lock().map(|kept| kept.clone()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn all(bytes: Vec<u8>) -> Vec<Line> {
        let lines = Lines::of(Cursor::new(bytes));
        let next = || match lines.next_within(Duration::from_secs(60)) {
            Next::Line(line) => Some(line),
            Next::Nothing => panic!("it waited for a minute"),
            Next::End => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn who_waits_waits_for_a_limited_time() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let lines = Lines::of(reader);
        assert_eq!(lines.next_within(Duration::ZERO), Next::Nothing);
        assert_eq!(lines.next_within(Duration::from_millis(5)), Next::Nothing);
        std::io::Write::write_all(&mut writer, b"one\n").unwrap();
        assert_eq!(lines.next_within(Duration::from_secs(60)), Next::Line(Line::Text(b"one".to_vec())));
        drop(writer);
        assert_eq!(lines.next_within(Duration::from_secs(60)), Next::End);
        assert_eq!(Lines::none().next_within(Duration::ZERO), Next::End);
    }

    #[test]
    fn the_thread_ends_when_nobody_takes_its_lines() {
        let lines = Lines::of(Cursor::new(b"line\n".repeat(100)));
        let shared = Arc::clone(&lines.0);
        drop(lines);
        let ended = |queue: &mut Queue| !queue.ended;
        let waited = shared.changed.wait_timeout_while(shared.queue(), Duration::from_secs(60), ended).unwrap();
        assert!(!waited.1.timed_out());
    }

    #[test]
    fn lines_end_and_an_endless_one_is_given_up() {
        let more = |text: &str| Line::TextAndMore(text.as_bytes().to_vec());
        let seen = all(b"one\n\ntwo\nunfinished".to_vec());
        assert_eq!(seen, [more("one"), more(""), more("two")]);
        let seen = all(b"one\ntwo\n".to_vec());
        assert_eq!(seen, [more("one"), Line::Text(b"two".to_vec())]);
        let mut endless = vec![b'x'; LONGEST as usize];
        endless.push(b'\n');
        let seen = all(endless.clone());
        assert_eq!(seen, [Line::Text(vec![b'x'; LONGEST as usize])]);
        endless.insert(0, b'x');
        endless.extend(b"after\n");
        assert_eq!(all(endless), [Line::TooLong]);
    }

    #[test]
    fn of_standard_error_the_end_is_kept() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let tail = Tail::of(reader, u64::MAX);
        std::io::Write::write_all(&mut writer, &[vec![b'a'; 5000], b"the end\n".to_vec()].concat()).unwrap();
        drop(writer);
        assert_eq!(tail.text_at_end(Duration::from_secs(60)).len(), TAIL - 1);
        assert!(tail.text().ends_with("the end") && !tail.was_too_long());
        let tail = Tail::of(Cursor::new(vec![b'x'; 10_000]), 9_999);
        assert_eq!(tail.text_at_end(Duration::from_secs(60)).len(), TAIL);
        assert!(tail.was_too_long());
    }
}
