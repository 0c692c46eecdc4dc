//! The output of a guest: kept up to a limit, head and tail, and passed on as it comes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The output of a guest on one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// The bytes. Where more was written than the limit, the first and the last half of the
    /// limit, with a line between them that says how much is missing.
    pub bytes: Vec<u8>,
    /// Set if something is missing.
    pub truncated: bool,
    /// The count of bytes written, missing ones included.
    pub written: u64,
}

impl Output {
    /// Returns the bytes as text. Whatever is not UTF-8 is replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Receives output as it is produced.
pub trait Sink: Send + Sync {
    /// Takes the next bytes of a stream. The guest goes on when that is done.
    fn send(&self, stream: Stream, bytes: Vec<u8>) -> Sending<'_>;
}

/// The passing on of output.
pub type Sending<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// A stream of a guest, kept up to a limit.
#[derive(Clone)]
pub struct Capture {
    stream: Stream,
    buffer: Arc<Mutex<Buffer>>,
    sink: Option<Arc<dyn Sink>>,
}

struct Buffer {
    /// Half of the limit, in bytes.
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    written: u64,
    /// Bytes for the sink that it has not got yet; `None` without a sink.
    unsent: Option<Vec<u8>>,
}

impl Capture {
    /// Keeps at most `max_bytes` bytes, plus the line that marks a cut, and passes them on to
    /// `sink`.
    pub fn new(stream: Stream, max_bytes: u64, sink: Option<Arc<dyn Sink>>) -> Self {
        let half = usize::try_from(max_bytes / 2).unwrap_or(usize::MAX);
        let buffer = Buffer {
            half,
            head: Vec::new(),
            tail: VecDeque::new(),
            written: 0,
            unsent: sink.as_ref().map(|_| Vec::new()),
        };
        Self {
            stream,
            buffer: Arc::new(Mutex::new(buffer)),
            sink,
        }
    }

    fn push(&self, bytes: &[u8]) {
        self.buffer.lock().push(bytes);
    }

    /// Waits until the sink has got what it is to get so far.
    async fn send(&self) {
        let Some(sink) = &self.sink else {
            return;
        };
        let unsent = self.buffer.lock().unsent.clone();
        if let Some(bytes) = unsent.filter(|bytes| !bytes.is_empty()) {
            sink.send(self.stream, bytes).await;
            // Only now: a call that is stopped while it waits is to lose nothing.
            self.buffer.lock().unsent = Some(Vec::new());
        }
    }

    /// Ends the stream. The sink gets what follows the head: the tail, after a mark if something is
    /// missing.
    pub async fn finish(&self) -> Output {
        let output = self.buffer.lock().finish();
        self.send().await;
        output
    }
}

impl Buffer {
    fn push(&mut self, bytes: &[u8]) {
        self.written = self.written.saturating_add(bytes.len() as u64);

        // What may be cut out is not passed on before the end, so that a sink gets no more than the
        // limit.
        let (head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(head);
        self.pass_on(head);
        let (_, last) = rest.split_at(rest.len().saturating_sub(self.half));
        let surplus = (self.tail.len() + last.len()).saturating_sub(self.half);
        self.tail.drain(..surplus);
        self.tail.extend(last);
    }

    fn pass_on(&mut self, bytes: &[u8]) {
        if let Some(unsent) = &mut self.unsent {
            unsent.extend_from_slice(bytes);
        }
    }

    fn finish(&mut self) -> Output {
        let mut bytes = std::mem::take(&mut self.head);
        let tail: Vec<u8> = std::mem::take(&mut self.tail).into();
        let kept = (bytes.len() + tail.len()) as u64;
        let truncated = self.written > kept;
        if truncated {
            // Whole characters only: what is cut in two counts as missing.
            bytes.truncate(whole_characters(&bytes));
            let start = tail
                .iter()
                .take_while(|byte| is_continuation(**byte))
                .count()
                .min(3);
            let (_, tail) = tail.split_at(start);
            let missing = self.written - (bytes.len() + tail.len()) as u64;
            let mark = format!("\n[... {missing} bytes cut ...]\n");
            self.pass_on(&[mark.as_bytes(), tail].concat());
            bytes.extend_from_slice(mark.as_bytes());
            bytes.extend_from_slice(tail);
        } else {
            self.pass_on(&tail);
            bytes.extend_from_slice(&tail);
        }
        Output {
            bytes,
            truncated,
            written: self.written,
        }
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Returns the length of `bytes` without a last character that is cut short.
fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(4) {
        let at = bytes.len() - back;
        let (_, end) = bytes.split_at(at);
        if let Some(first) = end.first().filter(|byte| !is_continuation(**byte)) {
            let needed = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            return if needed > back { at } else { bytes.len() };
        }
    }
    bytes.len()
}

/// The most that one write takes; WASI asks in pieces of at most 4 KiB anyway.
const WRITE_BYTES: usize = 64 << 10;

#[wasmtime_wasi::async_trait]
impl Pollable for Capture {
    /// Is ready when the sink has got everything, which is waited for before and after each write.
    async fn ready(&mut self) {
        self.send().await;
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Capture {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that keeps what it gets.
    #[derive(Default)]
    struct Seen(Mutex<Vec<u8>>);

    impl Sink for Seen {
        fn send(&self, _: Stream, bytes: Vec<u8>) -> Sending<'_> {
            Box::pin(async move { self.0.lock().extend(bytes) })
        }
    }

    /// Writes the pieces under a limit; returns what is kept and what the sink saw.
    fn check(limit: u64, pieces: &[&[u8]]) -> (Output, Vec<u8>) {
        let seen = Arc::new(Seen::default());
        let capture = Capture::new(Stream::Stdout, limit, Some(seen.clone()));
        let executor = tokio::runtime::Builder::new_current_thread().build();
        let output = executor.unwrap().block_on(async {
            for piece in pieces {
                capture.push(piece);
                capture.send().await;
            }
            capture.finish().await
        });
        let seen = seen.0.lock().clone();
        (output, seen)
    }

    #[test]
    fn up_to_the_limit_nothing_is_cut() {
        for pieces in [
            &[b"0123456789".as_slice()][..],
            &[b"0123", b"", b"456789"],
            &[b"01234567", b"89"],
        ] {
            let (output, seen) = check(10, pieces);
            assert_eq!(output.bytes, b"0123456789");
            assert_eq!(seen, b"0123456789");
            assert!(!output.truncated);
        }
    }

    #[test]
    fn one_byte_over_the_limit_is_cut() {
        let (output, seen) = check(10, &[b"0123456789", b"X"]);
        assert_eq!(output.text(), "01234\n[... 1 bytes cut ...]\n6789X");
        assert_eq!(seen, b"01234\n[... 1 bytes cut ...]\n6789X");
        assert!(output.truncated);
        assert_eq!(output.written, 11);
    }

    #[test]
    fn head_and_tail_stay_whatever_the_pieces() {
        let all: Vec<u8> = (0..10_000_u32)
            .map(|i| b'a' + u8::try_from(i % 26).unwrap())
            .collect();
        for size in [1, 3, 7, 100, 9_999, 10_000] {
            let pieces: Vec<&[u8]> = all.chunks(size).collect();
            let (output, _) = check(100, &pieces);
            assert!(output.bytes.starts_with(&all[..50]), "{size}");
            assert!(output.bytes.ends_with(&all[9_950..]), "{size}");
            assert_eq!(output.written, 10_000);
            assert!(output.bytes.len() < 150);
        }
    }

    #[test]
    fn cut_between_characters() {
        let (output, _) = check(10, &["ä".repeat(100).as_bytes()]);
        assert_eq!(
            output.text(),
            format!("ää\n[... {} bytes cut ...]\nää", 200 - 8)
        );
    }
}
