//! Lines of a program's output, by a thread that reads: whoever waits can wait for a limited time.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
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

/// Reads lines until the output ends.
pub(super) fn lines(output: impl Read + Send + 'static) -> Receiver<Line> {
    let (sender, receiver) = sync_channel(WAITING);
    thread::spawn(move || send_lines(output, &sender));
    receiver
}

fn send_lines(output: impl Read, sender: &SyncSender<Line>) {
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
        if sender.send(line).is_err() || last {
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
    pub(super) fn of(mut output: impl Read + Send + 'static, most: u64) -> Self {
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

    #[test]
    fn lines_end_and_an_endless_one_is_given_up() {
        let more = |text: &str| Line::TextAndMore(text.as_bytes().to_vec());
        let seen: Vec<Line> = lines(Cursor::new(b"one\n\ntwo\nunfinished".to_vec())).iter().collect();
        assert_eq!(seen, [more("one"), more(""), more("two")]);
        let seen: Vec<Line> = lines(Cursor::new(b"one\ntwo\n".to_vec())).iter().collect();
        assert_eq!(seen, [more("one"), Line::Text(b"two".to_vec())]);
        let mut endless = vec![b'x'; LONGEST as usize];
        endless.push(b'\n');
        let seen: Vec<Line> = lines(Cursor::new(endless.clone())).iter().collect();
        assert_eq!(seen, [Line::Text(vec![b'x'; LONGEST as usize])]);
        endless.insert(0, b'x');
        endless.extend(b"after\n");
        assert_eq!(lines(Cursor::new(endless)).iter().collect::<Vec<_>>(), [Line::TooLong]);
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
