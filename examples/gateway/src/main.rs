//! The server's command line.

use std::{io::ErrorKind, path::Path, process::ExitCode, time::Duration};

use clap::Parser;
use tokio::net::TcpListener;
use tower_fleet::{
    BoxError,
    config::{Config, ConfigError},
};
use tower_fleet_gateway::{
    Args, Ending, Greeting, Signals, chain, cut_off, init_log, router, serve,
};

/// Longer than most completions take, shorter than the patience of what restarts servers.
const GRACE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    init_log();
    match run(Args::parse()).await {
        Ok(Ending::Drained) => ExitCode::SUCCESS,
        Ok(Ending::Cut) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<Ending, BoxError> {
    let config = match &args.config {
        Some(file) => from_file(file)?,
        None => tower_fleet_gateway::simulate::start().await?,
    };
    let router = router(&config)?;
    let listener = listen(&args.host, args.port).await?;
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
    let ending = serve(listener, router, stop, hurry).await?;
    match ending {
        Ending::Drained => tracing::info!("stopped: every request was answered"),
        Ending::Cut => {
            cut_off();
            tracing::warn!("stopped: some requests were cut off");
        }
    }
    Ok(ending)
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, BoxError> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => "; --port chooses another port, --port 0 any",
            _ => "",
        };
        format!("cannot listen on {host}, port {port}: {error}{hint}").into()
    })
}

fn from_file(file: &Path) -> Result<Config, BoxError> {
    let config = Config::from_file(file).map_err(|error| match error {
        // It names the file.
        ConfigError::Read { .. } => chain(&error),
        _ => format!("{} cannot be used\n{}", file.display(), chain(&error)),
    })?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(config)
}
