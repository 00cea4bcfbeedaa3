//! What can be measured, each by its name.

mod calls;
mod churn;
mod idle;
mod latency;

use clap::ValueEnum;

use crate::{findings::Findings, setup::Setup};

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Read calls in open sessions.
    Sessions,
    /// Read calls of 2026-07-28, each by itself.
    Modern,
    /// Sessions that are opened and ended.
    Churn,
    /// Sessions that are left alone.
    Idle,
    /// Latency at half of the highest rate.
    Latency,
}

impl Mode {
    /// Every mode, in the order of the page.
    pub(crate) const ALL: [Self; 5] = [Self::Sessions, Self::Modern, Self::Churn, Self::Idle, Self::Latency];

    /// Its name, on the command line and as a file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Modern => "modern",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::Latency => "latency",
        }
    }

    /// Measures it.
    pub(crate) async fn run(self, setup: &Setup) -> anyhow::Result<Findings> {
        match self {
            Self::Sessions => calls::in_sessions(setup).await,
            Self::Modern => calls::modern(setup).await,
            Self::Churn => churn::run(setup).await,
            Self::Idle => idle::run(setup).await,
            Self::Latency => latency::run(setup).await,
        }
    }
}
