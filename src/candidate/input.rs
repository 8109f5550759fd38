//! Writing to a program that need not read.

use std::io::{PipeWriter, Write};
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// Nobody reads any more.
    Closed,
    /// The time was over before all of it could be written.
    Late,
}

/// The end of a pipe that a program reads.
#[derive(Debug)]
pub(super) struct Input(PipeWriter);

impl Input {
    /// From now on writing to it does not wait. Whoever has the other end is not concerned.
    pub(super) fn of(pipe: PipeWriter) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            let flags = rustix::fs::fcntl_getfl(&pipe)?;
            rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
        }
        Ok(Self(pipe))
    }

    /// Writes all of it within `limit`. A program may make its end as small as a page and read nothing.
    pub(super) fn write_within(&mut self, mut bytes: &[u8], limit: Duration) -> Written {
        let begin = Instant::now();
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(0) => return Written::Closed,
                Ok(written) => bytes = &bytes[written..],
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => (),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    let left = limit.saturating_sub(begin.elapsed());
                    if left.is_zero() {
                        return Written::Late;
                    }
                    self.wait(left);
                }
                Err(_) => return Written::Closed,
            }
        }
        Written::All
    }

    /// Until something can be written, or the other end is closed.
    #[cfg(target_os = "linux")]
    fn wait(&self, limit: Duration) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let limit =
            Timespec { tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: limit.subsec_nanos().into() };
        // What it says is found out by writing.
        let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], Some(&limit));
    }

    #[cfg(not(target_os = "linux"))]
    fn wait(&self, limit: Duration) {
        std::thread::sleep(limit.min(Duration::from_millis(1)));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut input = Input::of(writer).unwrap();
        let much = vec![b'x'; 1 << 20];
        assert_eq!(input.write_within(b"a line\n", Duration::ZERO), Written::All);
        assert_eq!(input.write_within(&much, Duration::from_millis(20)), Written::Late);
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.by_ref().take(2 << 20).read_to_end(&mut all).unwrap();
            all.len()
        });
        assert_eq!(input.write_within(&much, Duration::from_secs(60)), Written::All);
        drop(input);
        assert!(read.join().unwrap() > 1 << 20);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(Input::of(writer).unwrap().write_within(b"x", Duration::from_secs(60)), Written::Closed);
    }
}
