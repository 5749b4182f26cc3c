//! Running until told to stop, and then to the end of what runs.

use std::{future::Future, io};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, sync::oneshot};

/// How a server that was told to stop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every request was answered.
    Drained,
    /// Some requests were cut off.
    Cut,
}

/// Serves HTTP/1 and cleartext HTTP/2 until `stop`, then takes no more connections and lets running requests finish; but
/// not for longer than `hurry`, which is first polled then.
///
/// # Errors
///
/// What the listener fails with.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    hurry: impl Future<Output = ()>,
) -> io::Result<Ending> {
    let (stopping, stopped) = oneshot::channel();
    let stop = async move {
        stop.await;
        let _ = stopping.send(());
    };
    let listener = listener.tap_io(|socket| {
        // Nagle's algorithm would hold back the second of two small chunks for 40 ms.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!("TCP_NODELAY: {error}");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop);
    tokio::select! {
        served = serving.into_future() => served.map(|()| Ending::Drained),
        () = async { let _ = stopped.await; hurry.await } => Ok(Ending::Cut),
    }
}

/// The signals that ask a process to end: Ctrl-C and, on Unix, SIGTERM. They are caught from the time this is made.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Catches them.
    ///
    /// # Errors
    ///
    /// None.
    #[cfg(not(unix))]
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
