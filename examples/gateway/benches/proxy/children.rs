//! Child processes, and the processor time they take.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tower_fleet::BoxError;

/// Each server has as many threads as nginx has workers, so that none is charged for handing work to another.
pub(crate) const WORKERS: &str = "1";

/// A server in a process of its own, which ends with this.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// This program once more, in a role of [`servers`](crate::servers).
    pub(crate) fn role(role: &str, upstreams: &[String]) -> Result<Self, BoxError> {
        let mut command = Command::new(env::current_exe()?);
        Self::telling(command.arg(role).args(upstreams).stdin(Stdio::piped()))
    }

    /// The gateway, with a deployment of each group on each upstream.
    pub(crate) fn gateway(
        directory: &Path,
        groups: &[&str],
        upstreams: &[String],
    ) -> Result<Self, BoxError> {
        let entry = |group: &&str, upstream: &String| {
            format!(
                "- {{model_name: {group}, litellm_params: {{model: openai/some-model, \
                api_base: \"http://{upstream}/{group}/v1\", api_key: key}}}}\n"
            )
        };
        let of_group = |group| upstreams.iter().map(move |one| entry(group, one));
        let entries: Vec<_> = groups.iter().flat_map(of_group).collect();
        let config = format!(
            "model_list:\n{}router_settings: {{routing_strategy: least-busy}}\n",
            entries.concat()
        );
        let file = directory.join("proxy.yaml");
        fs::write(&file, config)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-fleet-gateway"));
        Self::telling(command.args(["--port", "0", "--config"]).arg(file))
    }

    /// A server that ends its first line with its address.
    fn telling(command: &mut Command) -> Result<Self, BoxError> {
        command.env("TOKIO_WORKER_THREADS", WORKERS).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        // A full pipe would hold the server up.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let address = line.trim().rsplit(['/', ' ']).next().unwrap_or_default().parse()?;
        Ok(Self { process, address })
    }

    /// nginx, where it is installed.
    pub(crate) async fn nginx(
        directory: &Path,
        upstreams: &[String],
    ) -> Result<Option<Self>, BoxError> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let servers = upstreams.join("; server ");
        let path = |name: &str| directory.join(name).display().to_string();
        let config = format!(
            "daemon off; master_process off; worker_processes {WORKERS};
            pid {pid}; error_log {errors};
            events {{}}
            http {{
                access_log off; tcp_nodelay on; keepalive_requests 1000000000;
                client_body_temp_path {temporary}; proxy_temp_path {temporary};
                fastcgi_temp_path {temporary}; uwsgi_temp_path {temporary}; scgi_temp_path {temporary};
                upstream all {{ least_conn; server {servers}; keepalive 64; keepalive_requests 1000000000; }}
                server {{
                    listen {address};
                    location / {{
                        proxy_pass http://all; proxy_http_version 1.1;
                        proxy_set_header Connection \"\"; proxy_buffering off;
                    }}
                }}
            }}",
            pid = path("nginx.pid"),
            errors = path("nginx.log"),
            temporary = path("nginx"),
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(path("nginx.log")).arg("-c").arg(file);
        let Ok(process) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            return Ok(None);
        };
        let server = Self { process, address };
        for _ in 0..100 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(Some(server));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("nginx does not listen".into())
    }

    /// What its threads have run so far, as the scheduler counts it.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.process.id());
        let threads = fs::read_dir(tasks).into_iter().flatten().flatten();
        let ran = threads.filter_map(|thread| {
            let counts = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            counts.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(ran.sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
