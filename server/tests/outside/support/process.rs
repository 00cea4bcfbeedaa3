//! The real program, as a person or a supervisor starts it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Instant,
};

use serde_json::Value;
use server::store::sqlite::SqliteLocation;

use super::{PATIENCE, secrets};

/// A program that runs; it is killed when the test is over. What it wrote is searched for secrets then.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    /// What it keeps in a file, until that is searched.
    database: Option<PathBuf>,
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// How a program ended, and everything it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program in `folder`, with no settings but `set` and a free port. It logs all that it can.
pub(crate) fn command(folder: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(arguments).current_dir(folder).env_clear();
    command.env("PORT", "0").env("RUST_LOG", "trace").envs(set.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program, which must end by itself.
pub(crate) fn run(folder: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Ended {
    let mut child = command(folder, arguments, set).spawn().unwrap();
    let (stdout, stderr) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let status = wait(&mut child);
    let ended = Ended { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
    // What an operator asks for may be a key; what is logged beside it is none.
    secrets::search("the log of a command", &ended.stderr);
    ended
}

/// Runs a command of an operator, beside the database in this folder.
pub(crate) fn operate(folder: &Path, arguments: &[&str]) -> Ended {
    run(folder, arguments, &[])
}

/// The JSON that such a command printed.
pub(crate) fn told(folder: &Path, arguments: &[&str]) -> Value {
    let ended = operate(folder, &[arguments, &["--json"]].concat());
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

impl Program {
    /// Starts the program and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, set: &[(&str, &str)]) -> Self {
        Self::start_as(folder, &["serve"], set)
    }

    /// Starts what the arguments say and waits until it says where it listens.
    pub(crate) fn start_as(folder: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Self {
        Self::try_start_as(folder, arguments, set)
            .unwrap_or_else(|said| panic!("the program did not start: {said}"))
    }

    /// The same as whoever supervises a server does it: one that ends because its database has too much to do to be
    /// reached is started again.
    pub(crate) fn start_supervised(folder: &Path, set: &[(&str, &str)]) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_start_as(folder, &["serve"], set) {
                Ok(program) => return program,
                Err(said) => assert!(
                    said.contains("the database is unavailable") && Instant::now() < deadline,
                    "the program did not start: {said}"
                ),
            }
        }
    }

    /// What it said instead, where it did not start.
    fn try_start_as(folder: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Result<Self, String> {
        let mut child = command(folder, arguments, set).spawn().unwrap();
        let (said, hears) = mpsc::channel();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            while lines.read_line(&mut text).unwrap() > 0 {
                let heard = text.split("://").nth(1).and_then(|rest| rest.split_once("/mcp\n"));
                if let Some((address, _)) = heard {
                    // Nobody listens any more after the first one.
                    let _ = said.send(address.parse::<SocketAddr>().unwrap());
                }
            }
            text
        });
        let stderr = collect(child.stderr.take().unwrap());
        match hears.recv_timeout(PATIENCE) {
            Ok(address) => {
                let database = database(folder, arguments, set);
                Ok(Self { address, database, child, stdout, stderr })
            }
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                let log = stderr.join().unwrap();
                secrets::search("the log of a server that did not start", &log);
                Err(log)
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name (`TERM`, `INT`).
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Kills it in the middle of whatever it does.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.ended()
    }

    /// Waits until it has ended, and no longer: what it wrote is not looked at yet.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Ended {
        let status = self.wait();
        let (stdout, stderr) = self.written();
        Ended { status, stdout, stderr }
    }

    /// Everything that it wrote, once it has ended.
    fn written(&mut self) -> (String, String) {
        let take = |output: &mut JoinHandle<String>| {
            std::mem::replace(output, std::thread::spawn(String::new)).join().unwrap()
        };
        let written = (take(&mut self.stdout), take(&mut self.stderr));
        secrets::search("what a server printed", &written.0);
        secrets::search("the log of a server", &written.1);
        if let Some(database) = self.database.take() {
            secrets::search_files(&database);
        }
        written
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            self.written();
        }
    }
}

/// The file of a program's database, where it is in one: as its settings say, or else those in its folder.
fn database(folder: &Path, arguments: &[&str], set: &[(&str, &str)]) -> Option<PathBuf> {
    let (variable, default) = match arguments {
        ["risk", ..] => ("RISK_DATABASE_URL", "sqlite://data/risk.db"),
        _ => ("DATABASE_URL", "sqlite://data/payments.db"),
    };
    let dotenv = fs::read_to_string(folder.join(".env")).unwrap_or_default();
    let in_folder = dotenv.lines().filter_map(|line| line.split_once('='));
    let url = set.iter().copied().chain(in_folder).find(|(name, _)| *name == variable);
    match url.map_or(default, |(_, url)| url).parse() {
        Ok(SqliteLocation::File(path)) => Some(folder.join(path)),
        Ok(SqliteLocation::Memory) | Err(_) => None,
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// Waits until a program has ended.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the program did not end within {PATIENCE:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
