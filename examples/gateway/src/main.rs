//! The server's command line.

use std::{
    io::{self, ErrorKind, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio::net::TcpListener;
use tower_fleet::{
    BoxError,
    config::{Config, ConfigError},
};
use tower_fleet_gateway::{
    Args, Ending, Gateway, Greeting, Report, Signals, chain, init_log, serve, simulate,
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
        None => simulate::start().await?,
    };
    if args.check {
        check(&config)?;
        return Ok(Ending::Drained);
    }
    for warning in config.warnings.iter().filter(|_| args.config.is_some()) {
        eprintln!("warning: {warning}");
    }
    let gateway = Gateway::new(&config)?;
    let listener = listen(&args.host, args.port).await?;
    let address = listener.local_addr()?;
    let mut signals = Signals::new()?;
    let greeting = Greeting::new(address, &config, args.config.is_none(), gateway.is_locked());
    if let Some(warning) = greeting.warning() {
        eprintln!("warning: {warning}");
    }
    greeting.print();

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
    let ending = serve(listener, gateway, stop, hurry).await;
    match ending {
        Ending::Drained => tracing::info!("stopped: every request was answered"),
        Ending::Cut => tracing::warn!("stopped: some requests were cut off"),
    }
    Ok(ending)
}

/// Prints what was understood of the configuration.
fn check(config: &Config) -> Result<(), BoxError> {
    writeln!(io::stdout(), "{}", Report::of(config)?)?;
    Ok(())
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
    Config::from_file(file).map_err(|error| match error {
        // It names the file.
        ConfigError::Read { .. } => error.into(),
        _ => format!("{} cannot be used\n{}", file.display(), chain(&error)).into(),
    })
}
