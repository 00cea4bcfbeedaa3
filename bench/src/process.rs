//! A server under measurement: started on its own core, watched through `/proc`, stopped by its process id.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// What is started, and what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Program {
    /// A program and its arguments.
    pub(crate) fn of(path: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { path: path.to_owned(), arguments, environment: Vec::new() }
    }

    /// The same with more in its environment.
    #[must_use]
    pub(crate) fn with(mut self, more: &[(&'static str, &str)]) -> Self {
        self.environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// The command that runs it on some cores, or wherever there is room. It ends when this process does.
    pub(crate) fn command(&self, cores: Option<&str>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(cores) = cores {
            command.args(["taskset", "-c", cores]);
        }
        command.arg(&self.path).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    /// `address:port` of its endpoint.
    pub(crate) address: String,
}

impl Process {
    /// Starts a program on `cores` and waits for the line in which it prints its URL. What it complains about goes to a
    /// file in `scratch`.
    pub(crate) async fn start(program: &Program, scratch: &Path, cores: &str) -> anyhow::Result<Self> {
        let complaints = scratch.join("stderr");
        let mut command = program.command(Some(cores));
        command.current_dir(scratch).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&complaints)?);
        let shown = program.path.display();
        let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
        let pid = child.id().context("the server ended at once")?;
        let out = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(out).lines();
        let address = tokio::time::timeout(Duration::from_secs(30), async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, rest)) = line.split_once("listening on http://") {
                    return Ok(rest.trim_end_matches("/mcp").to_owned());
                }
            }
            let complaints = std::fs::read_to_string(&complaints).unwrap_or_default();
            bail!("{shown} ended without printing its URL; {}", complaints.trim())
        })
        .await
        .context("the server printed no URL in time")??;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, pid, address })
    }

    /// CPU time it has used so far, in microseconds.
    pub(crate) fn cpu_micros(&self) -> anyhow::Result<u64> {
        cpu_micros(self.pid)
    }

    /// Memory it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }

    /// Ends it at once, as the loss of power would.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot stop the server")
    }

    /// Ends it as an operator does, and waits until it has ended.
    pub(crate) async fn shut_down(mut self) -> anyhow::Result<()> {
        terminate(self.pid)?;
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        let status = ended.context("the server does not end")??;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn terminate(pid: u32) -> anyhow::Result<()> {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM).context("cannot stop the server")
}

#[cfg(not(target_os = "linux"))]
fn terminate(_pid: u32) -> anyhow::Result<()> {
    bail!("servers are measured on Linux only")
}

/// CPU time of this very process so far, in microseconds.
pub(crate) fn own_cpu_micros() -> anyhow::Result<u64> {
    cpu_micros(std::process::id())
}

/// Of all threads, of those that have ended too. The clock ticks of `/proc/PID/stat` are ten milliseconds long; this is not.
#[cfg(target_os = "linux")]
fn cpu_micros(pid: u32) -> anyhow::Result<u64> {
    use nix::{time::clock_getcpuclockid, unistd::Pid};

    let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into()?)).context("the process has no clock")?;
    let taken = clock.now().context("the clock of the process cannot be read")?;
    Ok(u64::try_from(Duration::from(taken).as_micros())?)
}

/// Other systems have neither this clock nor the programs that a server is started with.
#[cfg(not(target_os = "linux"))]
fn cpu_micros(_pid: u32) -> anyhow::Result<u64> {
    bail!("CPU time is measured on Linux only")
}
