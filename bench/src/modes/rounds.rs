//! Rounds of several that take part, in turn, so that whatever changes on the machine meets them all.

use std::time::Instant;

use crate::{
    contender::Server,
    figures::{Spread, grouped, thousandths},
    findings::{Findings, TOO_LATE},
    load::{Lanes, Round},
    process::Process,
    setup::Setup,
};

/// Everyone who takes part, with the rounds that they came through.
pub(super) type Rounds<P, R> = Vec<(P, Vec<R>)>;

/// Runs every participant once a round. One that fails is not tried again, and what it had come through before counts; once
/// the mode's time is used up no more rounds are begun.
pub(super) async fn interleaved<P: Copy, R>(
    setup: &Setup,
    findings: &mut Findings,
    participants: impl IntoIterator<Item = P>,
    name: impl Fn(P) -> String,
    round: impl AsyncFn(P) -> anyhow::Result<R>,
) -> Rounds<P, R> {
    let mut all: Vec<_> =
        participants.into_iter().map(|participant| (participant, Vec::new(), false)).collect();
    for number in 1..=setup.effort.rounds {
        if number > 1 && Instant::now() > setup.until {
            findings.failed(&format!("round {number} of {}", setup.effort.rounds), &TOO_LATE.into());
            break;
        }
        for (participant, rounds, has_failed) in all.iter_mut().filter(|(.., has_failed)| !has_failed) {
            match round(*participant).await {
                Ok(round) => rounds.push(round),
                Err(error) => {
                    findings.failed(&name(*participant), &error);
                    *has_failed = true;
                }
            }
        }
    }
    let came_through = all.into_iter().filter(|(_, rounds, _)| !rounds.is_empty());
    came_through.map(|(participant, rounds, _)| (participant, rounds)).collect()
}

/// Rounds of the payment server on SQLite, one after the other once it is warm, which together take as long as one of those that are
/// interleaved.
pub(super) async fn in_a_row(
    setup: &Setup,
    process: &Process,
    open: impl AsyncFn() -> anyhow::Result<Lanes>,
) -> anyhow::Result<Vec<Round>> {
    open().await?.drive(process, Server::Sqlite.warms_for(setup)).await?;
    let mut rounds = Vec::new();
    for _ in 0..setup.effort.rounds {
        rounds.push(open().await?.drive(process, setup.effort.time / setup.effort.rounds).await?);
    }
    Ok(rounds)
}

/// How a figure of the rounds spreads.
pub(super) fn spread(rounds: &[Round], figure: impl Fn(&Round) -> u64) -> Spread {
    Spread::of(rounds.iter().map(figure))
}

/// The rates of a server: noted among the figures, and as they are written.
pub(super) fn rate(findings: &mut Findings, server: Server, rounds: &[Round]) -> String {
    let rate = spread(rounds, Round::a_second);
    findings.figure(format!("a_second.{}", server.key()), rate.median);
    rate.whole()
}

/// The load generator's own CPU time for each call, in microseconds, as it is written.
pub(super) fn own_share(rounds: &[Round]) -> String {
    thousandths(spread(rounds, Round::own_nanos).median, 1)
}

/// How many calls of all rounds went wrong: added to the figures under `key`, so that no target counts as met with them,
/// and as it is written. What was wrong with the first is noted among the failures.
pub(super) fn errors<'a>(
    findings: &mut Findings,
    key: &str,
    name: &str,
    rounds: impl IntoIterator<Item = &'a Round>,
) -> String {
    let mut errors = 0;
    for round in rounds {
        errors += round.tally.errors;
        if let Some(wrong) = &round.tally.wrong {
            findings.failed(name, &anyhow::anyhow!("calls went wrong, the first one so: {wrong}"));
        }
    }
    findings.count(format!("errors.{key}"), errors);
    grouped(errors)
}
