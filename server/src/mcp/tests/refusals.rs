//! Refusals while the store takes no records.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, atomic::Ordering},
};

use super::double::Double;
use crate::{
    audit::{Refusals, RefusedRequest, Sender},
    store::Outcome,
};

#[tokio::test]
async fn what_the_store_did_not_take_is_in_the_next_count() {
    let store = Arc::<Double>::default();
    let refusals = Refusals::new(store.clone());
    let note = |host, request_id| {
        refusals.note(RefusedRequest {
            sender: Sender::unknown(),
            from: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)),
            rule: "key: missing",
            outcome: Outcome::Denied,
            request_id,
            session: None,
        });
    };
    store.refuses_records.store(true, Ordering::Relaxed);
    note(1, "first");
    note(1, "second");
    refusals.record().await;
    refusals.record().await;
    store.refuses_records.store(false, Ordering::Relaxed);
    note(1, "third");
    refusals.record().await;
    refusals.record().await;
    let records = store.records.lock();
    let told: Vec<_> = records.iter().map(|record| (&*record.request_id, &*record.client)).collect();
    assert_eq!(told, [("first", "192.0.2.1, 3 requests")]);
}
