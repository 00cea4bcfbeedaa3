//! Promises of the audit trail, and of closing.

use std::sync::Arc;

use server::{
    clock::UnixMillis,
    store::{AuditFilter, AuditRecord, KeyId, Outcome, SessionHash, Store, StoreError, UserId},
};
use shared::mcp::ProtocolVersion;

use super::engines::people;

pub(crate) fn record(number: i64) -> AuditRecord {
    AuditRecord {
        at: UnixMillis::from_millis(number),
        request_id: format!("request-{number}").into(),
        user: UserId(1),
        username: "user1".to_owned(),
        key: KeyId("a".to_owned()),
        session: (number % 2 == 0).then_some(SessionHash([7; 32])),
        protocol: ProtocolVersion::V2025_11_25,
        client: "a client 1.0".into(),
        tool: "aTool".into(),
        arguments_digest: [3; 32],
        rule: "balance:read".into(),
        outcome: Outcome::ALL[usize::try_from(number).unwrap() % Outcome::ALL.len()],
        duration_us: number * 10,
        trace: None,
    }
}

pub(crate) async fn records_come_back_newest_first_as_they_were(store: Arc<dyn Store>) {
    for number in 1..=10 {
        store.append_audit(record(number)).await.unwrap();
    }
    store.flush_audit().await.unwrap();
    let expected: Vec<_> = (1..=10).rev().map(record).collect();
    assert_eq!(store.latest_audit(100).await.unwrap(), expected);
    assert_eq!(store.latest_audit(2).await.unwrap(), expected[..2]);
}

pub(crate) async fn a_flood_waits_and_loses_nothing(store: Arc<dyn Store>) {
    const EACH: i64 = 2_500;
    let mut floods = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let store = Arc::clone(&store);
        floods.spawn(async move {
            for number in 0..EACH {
                store.append_audit(record(lane * EACH + number)).await.unwrap();
            }
        });
    }
    floods.join_all().await;
    store.flush_audit().await.unwrap();
    let mut numbers: Vec<_> =
        store.latest_audit(u32::MAX).await.unwrap().iter().map(|record| record.at.as_millis()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..8 * EACH).collect::<Vec<_>>());
}

pub(crate) async fn a_closed_store_refuses_and_closing_twice_is_closing_once(store: Arc<dyn Store>) {
    people(&*store, 1).await;
    store.check().await.unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    let refusals = [
        store.balance(UserId(1)).await.map(|_| ()),
        store.append_audit(record(1)).await,
        store.flush_audit().await,
        store.check().await,
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(StoreError::Unavailable { .. })), "{refusal:?}");
    }
}

/// Whatever a caller calls itself or a tool: it is put down, and so are the others of its group.
pub(crate) async fn a_text_of_any_kind_is_no_reason_to_lose_a_record(store: Arc<dyn Store>) {
    let odd = "a\0b \u{202e} \u{10ffff} '\"\\; DROP TABLE audit_records; --";
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        let odd = AuditRecord { tool: odd.to_owned().into(), client: odd.into(), ..record(number) };
        let next = if number == 7 { odd } else { record(number) };
        appending.spawn(async move { store.append_audit(next).await.unwrap() });
    }
    appending.join_all().await;
    store.flush_audit().await.unwrap();
    let records = store.latest_audit(100).await.unwrap();
    assert_eq!(records.len(), 20);
    let kept = &records.iter().find(|record| record.at.as_millis() == 7).unwrap().tool;
    assert_eq!(kept.replace(['\0', '\u{fffd}'], ""), odd.replace('\0', ""));
    let verdict = server::audit::chain::verify(&*store, None).await.unwrap();
    assert!(matches!(verdict, server::audit::chain::Verdict::Whole { chained: 20, .. }), "{verdict:?}");
}

/// Whatever is asked for of a long trail, page by page, and in whatever order the times of its records are.
pub(crate) async fn a_filter_lets_the_same_records_through_however_long_the_trail(store: Arc<dyn Store>) {
    const RECORDS: i64 = 1_500;
    let varied = |number: i64| AuditRecord {
        // Some come after records that are newer.
        at: UnixMillis::from_millis(number + (number * 37) % 101),
        username: format!("user{}", number % 3),
        key: KeyId(format!("key{}", if number == 700 { 99 } else { number % 7 })),
        tool: if number % 400 == 1 { "rare" } else { "usual" }.into(),
        ..record(number)
    };
    for number in 1..=RECORDS {
        store.append_audit(varied(number)).await.unwrap();
    }
    store.flush_audit().await.unwrap();
    let all: Vec<_> = (1..=RECORDS).rev().map(varied).collect();
    let choices = |names: [&str; 3]| [None].into_iter().chain(names.map(|name| Some(name.to_owned())));
    for username in choices(["user0", "user2", "nobody"]) {
        for key in choices(["key1", "key99", "none"]) {
            for (tool, outcome) in [(None, None), (Some("rare"), None), (Some("usual"), Some(Outcome::Ok))] {
                for since in [None, Some(5), Some(800), Some(1_499), Some(9_999)] {
                    let filter = AuditFilter {
                        username: username.clone(),
                        key: key.clone().map(KeyId),
                        tool: tool.map(str::to_owned),
                        outcome,
                        since: since.map(UnixMillis::from_millis),
                    };
                    let expected: Vec<_> =
                        all.iter().filter(|record| lets_through(&filter, record)).collect();
                    let found = pages(&*store, &filter).await;
                    assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
                }
            }
        }
    }
}

fn lets_through(filter: &AuditFilter, record: &AuditRecord) -> bool {
    filter.username.as_ref().is_none_or(|name| *name == record.username)
        && filter.key.as_ref().is_none_or(|key| *key == record.key)
        && filter.tool.as_deref().is_none_or(|tool| tool == &*record.tool)
        && filter.outcome.is_none_or(|outcome| outcome == record.outcome)
        && filter.since.is_none_or(|since| record.at >= since)
}

/// All of it, in pages of an odd size.
async fn pages(store: &dyn Store, filter: &AuditFilter) -> Vec<AuditRecord> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = store.audit_page(filter.clone(), before, 97).await.unwrap();
        let Some(last) = page.last() else { return found };
        before = Some(last.seq);
        found.extend(page.into_iter().map(|entry| entry.record));
    }
}
