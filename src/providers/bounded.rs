//! A connection of which one reply may take only so many bytes, whatever reads it: clients that read a reply whole are stopped here.

use crate::limits::REPLY_BYTES;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the read fails with, and what a person is told.
pub const TOO_LARGE: &str = "the reply is larger than 16 MiB";

/// How many of the first bytes are kept.
const FIRST: usize = 256;

/// Anything that is a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A stream of which a reply can take only so much, and that keeps the first words: a server without room says so and hangs up
/// before anybody has asked, and then writing fails before these words are read.
pub struct Bounded {
    inner: Box<dyn Stream>,
    seen: Seen,
}

/// What was read of one connection, or of several that belong together.
#[derive(Clone, Default)]
pub struct Seen {
    /// Bytes of the reply under way.
    read: Arc<AtomicUsize>,
    /// The first bytes that came.
    first: Arc<Mutex<Vec<u8>>>,
}

impl Seen {
    /// A new reply is waited for.
    pub fn begin(&self) {
        self.allow(REPLY_BYTES);
    }

    /// What is waited for may have so many bytes, at most those of a reply.
    pub fn allow(&self, bytes: usize) {
        self.read.store(REPLY_BYTES.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Whether more came than was allowed. How clients wrap the error that says so differs; this does not.
    pub fn overflowed(&self) -> bool {
        self.read.load(Ordering::Relaxed) > REPLY_BYTES
    }

    /// The first bytes that came, at most 256.
    pub fn first(&self) -> Vec<u8> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, bytes: &[u8]) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST.saturating_sub(first.len()).min(bytes.len());
        first.extend_from_slice(&bytes[..room]);
    }
}

impl Bounded {
    /// The stream, counted by `seen`.
    pub fn new(inner: Box<dyn Stream>, seen: Seen) -> Self {
        Self { inner, seen }
    }
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Bounded")
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.seen.keep(&buffer.filled()[before..]);
        if self.seen.read.fetch_add(read, Ordering::Relaxed) + read > REPLY_BYTES {
            return Poll::Ready(Err(std::io::Error::other(TOO_LARGE)));
        }
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Err(_))) {
            let mut last = [0; FIRST];
            let mut buffer = ReadBuf::new(&mut last);
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                self.seen.keep(buffer.filled());
            }
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
