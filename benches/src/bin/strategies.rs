//! Runs every strategy under every workload of the simulator and prints what it shows.
//!
//! ```text
//! strategies                      a table for each workload
//! strategies --write              the same, into benches/strategies.txt and benches/strategies.svg
//! strategies --check              fails where those two are not what is drawn now
//! strategies --table performance  open arrivals at a high load, mean and 99th percentile
//! ```

use std::{env, fs, io, path::Path, process::ExitCode};

use tower_fleet_benches::sim;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => print(),
        ["--write"] => write(),
        ["--check"] => check(),
        ["--table", "performance"] => performance(),
        _ => Err(io::Error::other("unknown arguments: --write, --check or --table performance")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strategies: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print() -> io::Result<()> {
    print!("{}", sim::tables(&sim::results()?));
    Ok(())
}

fn performance() -> io::Result<()> {
    const REQUESTS: usize = 40_000;
    print!("{}", sim::performance(REQUESTS)?);
    Ok(())
}

fn write() -> io::Result<()> {
    for (name, text) in files()? {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), text)?;
    }
    Ok(())
}

fn check() -> io::Result<()> {
    for (name, text) in files()? {
        if fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))? != text {
            return Err(io::Error::other(format!("{name} is not what is drawn now: --write")));
        }
    }
    Ok(())
}

fn files() -> io::Result<[(&'static str, String); 2]> {
    let results = sim::results()?;
    Ok([("strategies.txt", sim::tables(&results)), ("strategies.svg", sim::svg(&results))])
}
