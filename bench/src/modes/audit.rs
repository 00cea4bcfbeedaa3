//! What the audit trail costs as it grows: to read the newest, to write to, to check as a whole.

use std::time::Instant;

use anyhow::ensure;
use serde_json::Value;
use shared::demo::AUDITOR_API_KEY;

use super::rounds::{errors, in_a_row, own_share, spread};
use crate::{
    ask::{Ask, Work},
    desk::operate,
    figures::{grouped, thousandths},
    findings::Findings,
    http::Wire,
    load::{CONNECTIONS, Lanes, Round},
    process::Process,
    rows::Database,
    session::open_session_with,
    setup::Setup,
};

/// Reads, writes and checks the trail when it is short, and when it is long; `left` becomes the database with the long one.
pub(crate) async fn run(setup: &Setup, left: &mut Option<Database>) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "A long audit trail",
        "On SQLite: a page of 20 records for the auditor, each page itself one record more; a read call of Bob's, which \
         appends one; and `server audit verify`, which reads the whole trail and computes every hash of its chain again. The \
         records that are added are appended by the server's own store.",
        &[
            "records",
            "a page: CPU, µs (min-max)",
            "p50, µs",
            "p99, µs",
            "a read call: CPU, µs (min-max)",
            "errors",
            "load's own CPU: a page, a call, µs",
            "verify, s",
            "database, MiB",
            "added in, s",
        ],
    );
    let mut database = Database::new(setup).await?;
    for wanted in [0, setup.effort.rows] {
        let began = Instant::now();
        database.fill_records(wanted).await?;
        let added = began.elapsed().as_secs();
        let began = Instant::now();
        let told = operate(setup, &database.url(), &["audit", "verify"]).await?;
        let verified = u64::try_from(began.elapsed().as_millis())?;
        let chained = told.get("chained").and_then(Value::as_u64).unwrap_or_default();
        ensure!(chained >= wanted, "{chained} records were verified instead of {wanted}: {told}");
        let process = database.start(setup).await?;
        let page = Ask { key: AUDITOR_API_KEY, ..Ask::tool("listAuditRecords", "{}") };
        let page = drive(setup, &process, &page, "\"records\"", |work| work.with_records(20)).await?;
        let call = drive(setup, &process, &Ask::tool("getAccountBalance", "{}"), "-200", |work| work).await?;
        process.stop().await?;
        let size = if wanted == 0 { "short" } else { "long" };
        let cpu = |rounds: &[Round]| spread(rounds, Round::cpu_nanos);
        findings.figure(format!("page_nanos.{size}"), cpu(&page).median);
        findings.figure(format!("call_nanos.{size}"), cpu(&call).median);
        let wrong = errors(&mut findings, size, "the audit trail", page.iter().chain(&call));
        findings.row([
            if wanted == 0 { "few".to_owned() } else { grouped(wanted) },
            cpu(&page).thousandths(),
            grouped(spread(&page, |round| round.within(500)).median),
            grouped(spread(&page, |round| round.within(990)).median),
            cpu(&call).thousandths(),
            wrong,
            format!("{}, {}", own_share(&page), own_share(&call)),
            thousandths(verified, 1),
            grouped(database.megabytes()),
            grouped(added),
        ]);
    }
    *left = Some(database);
    Ok(findings)
}

/// Keeps 32 connections busy with one request; `checked` tells how its answers are.
async fn drive(
    setup: &Setup,
    process: &Process,
    ask: &Ask<'_>,
    must_say: &str,
    checked: impl Fn(Work) -> Work,
) -> anyhow::Result<Vec<Round>> {
    let open = async || {
        let mut lanes = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut wire = Wire::connect(&process.address).await?;
            let session = open_session_with(&mut wire, &process.address, ask.key).await?;
            let ask = Ask { session: Some(&session), ..*ask };
            let work = Work::learn(&mut wire, &ask, &process.address, must_say).await?;
            lanes.push((wire, vec![checked(work)]));
        }
        anyhow::Ok(Lanes::of(lanes))
    };
    in_a_row(setup, process, open).await
}
