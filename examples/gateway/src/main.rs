//! The server's command line.

use std::{
    io::{self, ErrorKind, Write as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use tokio::net::TcpListener;
use tower_fleet::{
    BoxError,
    config::{Config, ConfigError},
    llm::{PriceList, PriceListError},
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
    let (config, warnings) = match &args.config {
        Some(file) => from_files(file, args.prices.as_deref())?,
        None => (simulate::start().await?, Vec::new()),
    };
    if args.check {
        check(&config, &warnings)?;
        return Ok(Ending::Drained);
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let gateway = Gateway::new(&config)?;
    let listener = listen(&args.host, args.port).await?;
    let address = listener.local_addr()?;
    let mut signals = Signals::new()?;
    let greeting = Greeting::new(address, &config, args.config.is_none());
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
fn check(config: &Config, warnings: &[String]) -> Result<(), BoxError> {
    writeln!(io::stdout(), "{}", Report::of(config, warnings)?)?;
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

/// A configuration, with prices where there is a list of them, and what of the files has no effect.
fn from_files(file: &Path, prices: Option<&Path>) -> Result<(Config, Vec<String>), BoxError> {
    let mut config = Config::from_file(file).map_err(|error| match error {
        // It names the file.
        ConfigError::Read { .. } => BoxError::from(error),
        _ => format!("{} cannot be used\n{}", file.display(), chain(&error)).into(),
    })?;
    let mut warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    if let Some(file) = prices {
        let list = PriceList::from_file(file).map_err(|error| match error {
            PriceListError::Read { .. } => BoxError::from(error),
            _ => format!("{} cannot be used: {}", file.display(), chain(&error)).into(),
        })?;
        let problems = list.problems().iter();
        warnings.extend(problems.map(|problem| format!("{}: {problem}", file.display())));
        config.prices = Some(Arc::new(list));
    }
    Ok((config, warnings))
}
