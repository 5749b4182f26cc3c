//! The rounds and the table.

use std::{path::Path, time::Duration};

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use tower_fleet::BoxError;

use crate::{
    children::Server,
    load::{self, Arrival, Clients},
    servers,
};

const UPSTREAMS: usize = 3;
const GROUPS: [&str; 3] = ["chat", "burst", "paced"];
const CONNECTIONS: usize = 32;

/// What is measured of every target, in each round.
const LOADS: [Load; 4] = [
    Load { name: "JSON, 1 connection", group: "chat", connections: 1, parts: 1 },
    Load { name: "JSON, 16 connections", group: "chat", connections: 16, parts: 1 },
    Load {
        name: "a chunk of a burst, 16",
        group: "burst",
        connections: 16,
        parts: servers::CHUNKS,
    },
    Load {
        name: "a chunk of a paced one, 32",
        group: "paced",
        connections: 32,
        parts: servers::CHUNKS,
    },
];

struct Load {
    name: &'static str,
    group: &'static str,
    connections: usize,
    /// What one answer is divided by.
    parts: u32,
}

/// How much is measured: all of it under `cargo bench`, a trifle under `cargo test`, which only sees that it runs.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    streams: usize,
    time: Duration,
}

struct Target {
    name: &'static str,
    server: Server,
    /// The gateway finds the group in the body, the others forward the path.
    path: fn(&str) -> String,
    clients: Clients,
    /// Microseconds of processor time, a load a row, a round a column.
    cpu: [Vec<f64>; LOADS.len()],
    bursts: Vec<Arrival>,
}

impl Target {
    async fn new(name: &'static str, server: Server) -> Result<Self, BoxError> {
        let path: fn(&str) -> String = match name {
            "gateway" => |_| "/v1/chat/completions".into(),
            _ => |group| format!("/{group}/v1/chat/completions"),
        };
        let clients = Clients::connect(server.address, CONNECTIONS).await?;
        Ok(Self { name, server, path, clients, cpu: Default::default(), bursts: Vec::new() })
    }

    fn request(&self, group: &str) -> Request<Full<Bytes>> {
        load::request(self.server.address, &(self.path)(group), group)
    }

    async fn round(&mut self, effort: Effort) -> Result<(), BoxError> {
        for (index, load) in LOADS.iter().enumerate() {
            let request = self.request(load.group);
            let before = self.server.cpu();
            let answers = self.clients.ask(&request, load.connections, effort.time).await?;
            let cpu = self.server.cpu().saturating_sub(before);
            self.cpu[index].push(cpu.as_secs_f64() * 1e6 / f64::from(answers * load.parts));
        }
        for _ in 0..effort.streams {
            let (to, path) = (self.server.address, (self.path)("burst"));
            let burst = tokio::task::spawn_blocking(move || load::stream(to, &path, "burst"));
            self.bursts.push(burst.await??);
        }
        Ok(())
    }
}

pub(crate) fn main() -> Result<(), BoxError> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments.split_first() {
        Some((role, upstreams)) if !role.starts_with('-') => {
            runtime.block_on(servers::run(role, upstreams))
        }
        _ if arguments.iter().any(|argument| argument == "--bench") => {
            let time = Duration::from_millis(250);
            runtime.block_on(measure(Effort { rounds: 13, streams: 8, time }))
        }
        _ => {
            let time = Duration::from_millis(1);
            runtime.block_on(measure(Effort { rounds: 1, streams: 1, time }))
        }
    }
}

async fn measure(effort: Effort) -> Result<(), BoxError> {
    let servers = (0..UPSTREAMS).map(|_| Server::role("upstream", &[]));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    let upstreams: Vec<_> = servers.iter().map(|one| one.address.to_string()).collect();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));

    let mut targets = vec![
        Target::new("plain hyper", Server::role("plain", &upstreams)?).await?,
        Target::new("hyper + fleet", Server::role("fleet", &upstreams)?).await?,
        Target::new("gateway", Server::gateway(directory, &GROUPS, &upstreams)?).await?,
    ];
    match Server::nginx(directory, &upstreams).await? {
        Some(nginx) => targets.push(Target::new("nginx", nginx).await?),
        None => println!("nginx is not installed, so nothing is measured against it\n"),
    }
    // The first round opens connections and warms caches.
    for round in 0..=effort.rounds {
        for target in &mut targets {
            target.round(effort).await?;
            if round == 0 && effort.rounds > 1 {
                target.cpu.iter_mut().for_each(Vec::clear);
                target.bursts.clear();
            }
        }
    }
    print(&targets);
    Ok(())
}

fn print(targets: &[Target]) {
    let row = |name: &str, cells: Vec<String>| println!("{name:<32}{}", cells.concat());
    let cells = |cell: &dyn Fn(&Target) -> String| {
        targets.iter().map(|target| format!("{:>15}", cell(target))).collect()
    };
    row("CPU, microseconds for", cells(&|target| target.name.into()));
    for (index, load) in LOADS.iter().enumerate() {
        row(load.name, cells(&|target| format!("{:.2}", median(target.cpu[index].clone()))));
    }
    println!();
    row("a burst of 50 chunks, alone", cells(&|target| target.name.into()));
    let burst = |of: fn(&Arrival) -> f64| {
        move |target: &Target| format!("{:.0}", median(target.bursts.iter().map(of).collect()))
    };
    row("arrivals, median", cells(&burst(|one| one.reads.into())));
    row("arrivals, most", cells(&|target| most(target).to_string()));
    row("first event after, microseconds", cells(&burst(|one| one.first.as_secs_f64() * 1e6)));
    row("the others within", cells(&burst(|one| one.rest.as_secs_f64() * 1e6)));
    println!();

    let of = |name: &str| targets.iter().find(|target| target.name == name);
    let compare = |one: &str, other: &str, goals: [Option<f64>; LOADS.len()]| {
        let (Some(this), Some(that)) = (of(one), of(other)) else { return };
        for (index, goal) in goals.into_iter().enumerate() {
            let pairs = this.cpu[index].iter().zip(&that.cpu[index]);
            let ratio = median(pairs.map(|(this, that)| this / that).collect());
            print_goal(&format!("{one} / {other}: {}", LOADS[index].name), goal, ratio);
        }
    };
    compare("hyper + fleet", "plain hyper", [Some(1.05), Some(1.05), None, None]);
    compare("gateway", "plain hyper", [None; LOADS.len()]);
    compare("gateway", "nginx", [Some(1.5), Some(1.5), Some(6.5), Some(1.25)]);
    compare("plain hyper", "nginx", [None; LOADS.len()]);
    if let Some(gateway) = of("gateway") {
        print_goal("gateway: arrivals of a burst, most", Some(10.0), f64::from(most(gateway)));
    }
}

fn most(target: &Target) -> u32 {
    target.bursts.iter().map(|one| one.reads).max().unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print_goal(name: &str, goal: Option<f64>, measured: f64) {
    match goal {
        Some(goal) => {
            let verdict = if measured <= goal { "met" } else { "MISSED" };
            println!("goal: {name:<54} <= {goal:<5} measured {measured:<7.2} {verdict}");
        }
        None => println!("      {name:<54}          measured {measured:.2}"),
    }
}
