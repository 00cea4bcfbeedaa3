//! What was measured on, and with.

use std::process::Command;

use crate::setup::Setup;

/// The machine, the versions and the command, as a list in Markdown.
pub(crate) fn described(command: &str, setup: &Setup, postgres_in_memory: bool) -> String {
    let cpu = said_in("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = said_in("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![
        ("Command", format!("`{command}`")),
        (
            "Machine",
            // Those of the servers, and the load generator's own.
            format!(
                "{} cores of {cpu}, {} GiB, Linux {}",
                setup.cores.len() + 1,
                memory / 1_048_576,
                kernel.trim()
            ),
        ),
        ("Rust", printed("rustc", &["--version"])),
        ("Node.js", printed("node", &["--version"])),
    ];
    let where_it_is =
        if postgres_in_memory { "; its data is in memory, where no disk is waited for" } else { "" };
    lines.push(("PostgreSQL", printed("postgres", &["--version"]) + where_it_is));
    lines.push(("SQLite", rusqlite::version().to_owned()));
    lines.push(("axum", locked("axum").unwrap_or_default().to_owned()));
    lines.push(("rmcp", locked("rmcp").unwrap_or_default().to_owned()));
    lines.push(("FastMCP", pinned("fastmcp")));
    lines.push(("TypeScript SDK", pinned("@modelcontextprotocol/server")));
    lines.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
}

/// The version of a crate that this was built with.
fn locked(name: &str) -> Option<&'static str> {
    let (_, rest) =
        include_str!("../../Cargo.lock").split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

/// The version of a package that npm installs.
fn pinned(name: &str) -> String {
    let pins: serde_json::Value =
        serde_json::from_str(include_str!("../../scripts/interop/package.json")).unwrap_or_default();
    let version =
        pins.get("dependencies").and_then(|pins| pins.get(name)).and_then(|version| version.as_str());
    version.unwrap_or_default().to_owned()
}

fn said_in(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn printed(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(_) | Err(_) => "not here".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{locked, pinned};

    #[test]
    fn the_versions_of_the_peers_are_known() {
        assert!(locked("rmcp").is_some_and(|version| version.starts_with("3.")));
        assert!(!pinned("fastmcp").is_empty());
        assert!(!pinned("@modelcontextprotocol/server").is_empty());
    }
}
