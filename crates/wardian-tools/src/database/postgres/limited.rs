//! A connection on which no message is longer than the host has room for: its length is looked at
//! before it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// A message starts with its type, and its length without that.
const HEAD: usize = 5;

/// The bound on what a connection may hand over.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// The longest message, in bytes.
    pub(super) max: usize,
    /// Set if there was a longer message.
    pub(super) exceeded: Arc<AtomicBool>,
}

/// A stream of messages from a server, none longer than its bound.
pub(super) struct Limited<S> {
    stream: S,
    bound: Bound,
    /// The start of a message whose length is not known yet.
    head: Vec<u8>,
    /// The rest of the current message, in bytes.
    left: usize,
}

impl<S> Limited<S> {
    pub(super) fn new(stream: S, bound: Bound) -> Self {
        Self {
            stream,
            bound,
            head: Vec::with_capacity(HEAD),
            left: 0,
        }
    }

    /// Follows the messages in `bytes`.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (_, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.left -= bytes.len() - rest.len();
                bytes = rest;
                continue;
            }
            let (head, rest) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [_, a, b, c, d] = self.head[..] {
                let len = u32::from_be_bytes([a, b, c, d]) as usize;
                if len > self.bound.max {
                    self.bound.exceeded.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("a message is too long"));
                }
                // The length counts itself.
                self.left = len.saturating_sub(HEAD - 1);
                self.head.clear();
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.follow(read))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Limited<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// TLS whose stream is limited.
pub(super) struct LimitedTls<T> {
    pub(super) tls: T,
    pub(super) bound: Bound,
}

impl<S, T> TlsConnect<S> for LimitedTls<T>
where
    T: TlsConnect<S, Future: Send + 'static>,
    T::Stream: Send,
{
    type Stream = Limited<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, T::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.tls.connect(stream);
        let bound = self.bound;
        Box::pin(async move { Ok(Limited::new(connecting.await?, bound)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_not_read() {
        let message =
            |len: u32| [b"D", &len.to_be_bytes()[..], &vec![0; len as usize - 4]].concat();
        let bytes = [message(4), message(100), message(30), message(101)].concat();
        for piece in [1, 2, 3, 7, 50, 1_000] {
            let bound = Bound {
                max: 100,
                exceeded: Arc::default(),
            };
            let mut limited = Limited::new((), bound.clone());
            let mut read = 0;
            let stopped = bytes.chunks(piece).find_map(|piece| {
                read += piece.len();
                limited.follow(piece).err()
            });
            assert!(stopped.is_some() && bound.exceeded.load(Ordering::Relaxed));
            // All but the body of the last.
            assert!(read <= 4 + 3 + 100 + 30 + 5 + piece, "{piece} {read}");
        }
    }
}
