//! The program, started with an environment of its own.

use std::{
    io::Write as _,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run of the program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program with arguments and nothing in its environment, in a folder without `.env`.
pub(crate) fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    command.args(arguments).env_clear().current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    ended(command.spawn().unwrap())
}

/// Gives it lines to read and runs it to its end.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ended(child)
}

/// Waits for its end.
pub(crate) fn ended(child: Child) -> Ended {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Ended {
        code: status.code().expect("the program ended by itself"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Presses Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Waits until something is so, for as long as that may take.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
}

impl Ended {
    /// Stdout as JSON events: every line is one.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The names of the events, in their order.
    pub(crate) fn event_names(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }
}

/// Text with every time that was measured replaced.
pub(crate) fn without_times(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let masked = words.iter().enumerate().map(|(place, word)| {
        let unit = words.get(place + 1).is_some_and(|next| matches!(next.lines().next(), Some("ms" | "s")));
        if unit && word.starts_with(|c: char| c.is_ascii_digit()) { "N" } else { word }
    });
    masked.collect::<Vec<_>>().join(" ")
}
