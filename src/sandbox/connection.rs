//! Connections that a handler can break: what a client sees when a server or a gateway falls over.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener as AxumListener};
use futures_util::task::AtomicWaker;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// A handle on the connection that a request came by.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    broken: AtomicBool,
    waker: AtomicWaker,
}

impl Switch {
    fn throw(&self) {
        self.broken.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Connection {
    /// Resets the connection: the client gets a TCP reset, and not a byte more.
    pub(super) fn reset(&self) {
        self.0.throw();
    }
}

impl Connected<IncomingStream<'_, Listener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self(Arc::clone(&stream.io().switch))
    }
}

/// Every open connection, so that a sandbox that stops leaves none behind.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Register>);

#[derive(Debug, Default)]
struct Register {
    switches: Vec<Weak<Switch>>,
    closed: bool,
}

impl Open {
    fn add(&self, switch: &Arc<Switch>) {
        let mut register = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if register.closed {
            switch.throw();
        }
        if register.switches.len() == register.switches.capacity() {
            register.switches.retain(|switch| switch.strong_count() > 0);
        }
        register.switches.push(Arc::downgrade(switch));
    }

    /// Resets every connection, and those that are still to come.
    pub(super) fn close(&self) {
        let mut register = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        register.closed = true;
        for switch in register.switches.drain(..).filter_map(|switch| switch.upgrade()) {
            switch.throw();
        }
    }
}

/// Accepts connections.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) tcp: TcpListener,
    pub(super) open: Arc<Open>,
}

impl AxumListener for Listener {
    type Io = Io;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Io, SocketAddr) {
        loop {
            match self.tcp.accept().await {
                Ok((stream, addr)) => {
                    // Answers are small: none waits for the next to fill a packet. Should the option not
                    // take, the answers are only slower.
                    let _ = stream.set_nodelay(true);
                    let switch = Arc::new(Switch::default());
                    self.open.add(&switch);
                    return (Io { stream, switch }, addr);
                }
                // Out of files, most likely: they come back as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// A stream that fails once its switch is thrown.
#[derive(Debug)]
pub(super) struct Io {
    stream: TcpStream,
    switch: Arc<Switch>,
}

impl Io {
    /// The stream, unless it is broken.
    fn whole(&mut self, context: &Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        self.switch.waker.register(context.waker());
        if self.switch.broken.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.switch.broken.load(Ordering::Acquire) {
            // No lingering: closing sends RST instead of FIN. Should that fail, the client sees the
            // connection end without an answer, which is an error just the same.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.whole(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.whole(context)?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.whole(context)?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.whole(context)?.poll_shutdown(context)
    }
}
