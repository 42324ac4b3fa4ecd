//! Connections to the shim, as the ttrpc server takes them.
//!
//! **Invariant:** running out of descriptors pauses the accepting, and neither ends nor spins it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Sleep;

/// What is read at once, in bytes: a request without a long specification, with its header. Without it the header, the
/// rest, and the end of what is there would be three calls.
const READ: usize = 1024;

/// How long to wait for somebody to close something.
const PAUSE: Duration = Duration::from_millis(200);

/// The stream of connections.
#[derive(Debug)]
pub struct Accept {
    listener: UnixListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Accept {
    /// Takes connections from a socket that listens.
    #[must_use]
    pub fn new(listener: UnixListener) -> Self {
        Self { listener, pause: None }
    }
}

impl Stream for Accept {
    type Item = io::Result<BufReader<UnixStream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            match self.listener.poll_accept(context) {
                Poll::Ready(Ok((stream, _))) if is_trusted(&stream) => {
                    return Poll::Ready(Some(Ok(BufReader::with_capacity(READ, stream))));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    log::warn!("accept a connection: {error}");
                    self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Compat: only our own user is served, whatever the modes of the socket's directories are.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => true,
        Ok(peer) => {
            log::warn!("a connection of user {} is refused", peer.uid());
            false
        }
        Err(error) => {
            log::warn!("ask who connects: {error}");
            false
        }
    }
}
