//! Running until told to stop, and then to the end of what runs.

use std::{
    future::{Future, pending},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, serve::Listener};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tower::Service as _;

use crate::{
    Gateway,
    connection::{Requests, Socket},
    routes,
};

/// How long the head of a request may be awaited. That includes the time in which a connection has nothing to do, so it
/// is more than the 90 s for which common clients keep such a connection: they, not the server, are to close it, as what
/// is sent on a connection that is being closed is lost.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a client may take to hear that the server stops. One that listens is told, and loses no request that was on
/// its way; but some listen only while they wait for an answer, as httpx does, and would never let HTTP/2 be closed.
const FAREWELL: Duration = Duration::from_millis(500);

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
pub async fn serve(
    mut listener: TcpListener,
    gateway: Gateway,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Ending {
    let gateway = Arc::new(gateway);
    let router = routes::router(Arc::clone(&gateway));
    // A connection holds a receiver for as long as it lasts.
    let (stopping, _) = watch::channel(());
    let accept = async {
        loop {
            let (socket, _) = Listener::accept(&mut listener).await;
            tokio::spawn(serve_one(socket, router.clone(), stopping.subscribe()));
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    stopping.send_replace(());
    tokio::select! {
        () = stopping.closed() => Ending::Drained,
        () = hurry => {
            gateway.cut_off();
            Ending::Cut
        }
    }
}

/// Serves one connection to its end, or, once `stopping` changes, to that of the requests that run.
async fn serve_one(socket: TcpStream, router: Router, mut stopping: watch::Receiver<()>) {
    // Nagle's algorithm would hold back the second of two small chunks for 40 ms.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!("TCP_NODELAY: {error}");
    }
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.http2().timer(TokioTimer::new());

    let asked = AtomicBool::new(false);
    let requests = Arc::<Requests>::default();
    let service = service_fn(|request: http::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let running = requests.begin();
        let response = router.clone().call(request);
        async move { response.await.map(|response| running.until_written(response)) }
    });
    let socket = TokioIo::new(Socket::new(socket, Arc::clone(&requests)));
    let mut connection = pin!(http.serve_connection(socket, service));
    // The time limit of a head begins once the protocol is known, which the first bytes say: they may not come.
    let mute = async {
        sleep(HEAD_TIMEOUT).await;
        if asked.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = mute => return,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            match timeout(FAREWELL, &mut connection).await {
                Ok(ended) => ended,
                Err(_) => requests.drain(connection).await,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection failed: {error}");
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
