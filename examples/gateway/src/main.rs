//! The server's command line.

use std::{net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use clap::Parser;
use tokio::net::TcpListener;
use tower_fleet::{BoxError, config::Config};
use tower_fleet_gateway::{Args, Ending, Greeting, Signals, chain, init_log, router, serve};

/// Longer than most completions take, shorter than the patience of what restarts servers.
const GRACE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    init_log();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), BoxError> {
    let config = match &args.config {
        Some(file) => from_file(file)?,
        None => tower_fleet_gateway::simulate::start().await?,
    };
    let router = router(&config)?;
    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; --port chooses another port, --port 0 any")
    })?;
    let mut signals = Signals::new()?;
    Greeting::new(listener.local_addr()?, &config, args.config.is_none()).print();

    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        signals.next().await;
        tracing::info!(
            "stopping: running requests have {GRACE:?} to finish; once more stops at once"
        );
        let _ = stopping.send(signals);
    };
    let hurry = async {
        let Ok(mut signals) = stopped.await else { return };
        let _ = tokio::time::timeout(GRACE, signals.next()).await;
    };
    match serve(listener, router, stop, hurry).await? {
        Ending::Drained => tracing::info!("stopped: every request was answered"),
        Ending::Cut => tracing::warn!("stopped: some requests were cut off"),
    }
    Ok(())
}

fn from_file(file: &Path) -> Result<Config, BoxError> {
    let config = Config::from_file(file)
        .map_err(|error| format!("{} cannot be used\n{}", file.display(), chain(&error)))?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(config)
}
