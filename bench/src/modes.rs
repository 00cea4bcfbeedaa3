//! What can be measured, each by its name.

mod audit;
mod calls;
mod churn;
mod client;
mod idle;
mod latency;
mod ledger;
mod payments;
mod pgbench;
mod replicas;
mod rounds;
mod startup;

use std::time::Duration;

use clap::ValueEnum;

use crate::{findings::Findings, rows::Database, setup::Setup};

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
    /// Payments that are created and confirmed.
    Payments,
    /// Several servers on one PostgreSQL database.
    Replicas,
    /// An audit trail of millions of records.
    Audit,
    /// Answers from a ledger of millions of transfers.
    Ledger,
    /// From the start of the program until it answers.
    Startup,
    /// What the client adds to a turn.
    Client,
}

impl Mode {
    /// Every mode, in the order of the page.
    pub(crate) const ALL: [Self; 11] = [
        Self::Sessions,
        Self::Modern,
        Self::Churn,
        Self::Idle,
        Self::Latency,
        Self::Payments,
        Self::Replicas,
        Self::Audit,
        Self::Ledger,
        Self::Startup,
        Self::Client,
    ];

    /// Its name, on the command line and as a file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Modern => "modern",
            Self::Churn => "churn",
            Self::Idle => "idle",
            Self::Latency => "latency",
            Self::Payments => "payments",
            Self::Replicas => "replicas",
            Self::Ledger => "ledger",
            Self::Audit => "audit",
            Self::Startup => "startup",
            Self::Client => "client",
        }
    }

    /// How long it may take before no more rounds are begun: a third more than what it takes on a bad day.
    pub(crate) const fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Self::Sessions => 90,
            Self::Idle | Self::Payments | Self::Replicas => 70,
            Self::Modern => 60,
            Self::Churn => 50,
            Self::Latency => 40,
            Self::Ledger => 110,
            // These have no rounds that could be left out.
            Self::Audit | Self::Startup | Self::Client => 0,
        })
    }

    /// Measures it. In `left` a mode leaves the database that a later one goes on with.
    pub(crate) async fn run(self, setup: &Setup, left: &mut Option<Database>) -> anyhow::Result<Findings> {
        match self {
            Self::Sessions => calls::in_sessions(setup).await,
            Self::Modern => calls::modern(setup).await,
            Self::Churn => churn::run(setup).await,
            Self::Idle => idle::run(setup).await,
            Self::Latency => latency::run(setup).await,
            Self::Payments => payments::run(setup).await,
            Self::Replicas => replicas::run(setup).await,
            Self::Ledger => ledger::run(setup, left).await,
            Self::Audit => audit::run(setup, left).await,
            Self::Startup => startup::run(setup, left.take()).await,
            Self::Client => client::run(setup).await,
        }
    }
}
