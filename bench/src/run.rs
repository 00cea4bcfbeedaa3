//! One run: every mode in turn, what it found kept and printed as it comes.

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;

use crate::{
    findings::Findings,
    machine,
    modes::Mode,
    page, print,
    setup::{Effort, Places, Setup},
};

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArguments {
    /// The folder of the release binaries `server`, `client` and `bench`.
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// The folder of the counterparts that Node.js runs; without it they are left out.
    #[arg(long)]
    counterparts: Option<PathBuf>,
    /// A PostgreSQL of this run alone, as postgres://USER:PASSWORD@HOST:PORT/DATABASE; without it what needs one is left
    /// out. Better set than said: every process of the machine can read a command line.
    #[arg(long, env = "BENCH_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// The data of that PostgreSQL is in memory, which the page then says.
    #[arg(long)]
    postgres_in_memory: bool,
    #[command(flatten)]
    places: Places,
    /// The folder in which what was found is kept.
    #[arg(long, default_value = "target/bench")]
    kept: PathBuf,
    /// The folder in which the page is written.
    #[arg(long, default_value = "docs")]
    page: PathBuf,
    /// What the measured code is called in the report.
    #[arg(long, default_value = "unknown")]
    revision: String,
    /// Fewer calls, sessions and rows: for every day.
    #[arg(long)]
    quick: bool,
    /// Only these modes; the rest is taken from what was kept.
    #[arg(long, num_args = 1.., value_enum)]
    only: Vec<Mode>,
}

/// Measures, and prints each mode as it is done. A mode that fails is reported, and does not keep the others from running.
///
/// # Errors
/// After everything else, where something went wrong: a mode, one who takes part in it, or a call.
pub(crate) async fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let counterparts = arguments.counterparts.as_ref().map(std::path::absolute).transpose();
    let setup = Setup {
        counterparts: counterparts.context("no path of the counterparts")?,
        postgres: arguments.postgres.clone(),
        ..Setup::new(&arguments.binaries, &arguments.places, effort)?
    };
    let mut wrong = Vec::new();
    let mut left = None;
    for mode in Mode::ALL {
        if !arguments.only.is_empty() && !arguments.only.contains(&mode) {
            continue;
        }
        let began = Instant::now();
        let setup = Setup { until: began + mode.budget(), ..setup.clone() };
        match mode.run(&setup, &mut left).await {
            Ok(mut findings) => {
                if !findings.failures.is_empty() {
                    wrong.push(mode.name());
                }
                findings.taken = taken(&arguments.revision, began)?;
                findings.keep(&arguments.kept, mode.name())?;
                print(&format!("{}\n", findings.markdown()))?;
            }
            Err(error) => {
                print(&format!("## {} failed: {error:#}\n\n", mode.name()))?;
                // What was found earlier is not of this run.
                Findings::forget(&arguments.kept, mode.name())?;
                wrong.push(mode.name());
            }
        }
    }
    write_page(arguments, &setup)?;
    anyhow::ensure!(wrong.is_empty(), "something went wrong, as is told above, in: {}", wrong.join(", "));
    Ok(())
}

/// Writes the page and prints the targets. A part of the modes makes no whole page: where nothing was kept of the others, it
/// is written beside what was kept.
fn write_page(arguments: &RunArguments, setup: &Setup) -> anyhow::Result<()> {
    let command = if arguments.quick { "scripts/bench --quick" } else { "scripts/bench" };
    let machine = machine::described(command, setup, arguments.postgres_in_memory);
    let is_missing = |mode: &Mode| Findings::read(&arguments.kept, mode.name()).is_none();
    let is_part = !arguments.only.is_empty() && Mode::ALL.iter().any(is_missing);
    let folder = if is_part { &arguments.kept } else { &arguments.page };
    let targets = page::write(&arguments.kept, folder, &machine)?;
    let page = folder.join("performance.md");
    let why = if is_part { ", for not every mode was measured or kept" } else { "" };
    print(&format!("## Targets\n\n{targets}\nThe page: {}{why}\n", page.display()))
}

/// When it was measured, how long that took, and of what.
fn taken(revision: &str, began: Instant) -> anyhow::Result<String> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    Ok(format!("Measured {now} in {} s, revision {revision}.", began.elapsed().as_secs()))
}
