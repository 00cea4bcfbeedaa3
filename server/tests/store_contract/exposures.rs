//! Promises of the risk service's decisions: against a simple reference, and at the edges of time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        Exposure, ExposureBounds, ExposureDecision, ExposureStore, Store as _, UserId,
        sqlite::{SqliteExposures, SqliteLocation, SqliteStore},
    },
};

use super::engines::people;

const DAY: Duration = Duration::from_hours(24);

/// What is too much for one payment and for one payer.
const PAYMENT: i64 = 60;
const PAYER: i64 = 200;

async fn exposures() -> (Arc<SqliteStore>, SqliteExposures) {
    let store = Arc::new(SqliteStore::open(&SqliteLocation::Memory).await.unwrap());
    people(&*store, 2).await;
    let exposures = SqliteExposures::open(Arc::clone(&store)).await.unwrap();
    (store, exposures)
}

fn exposure(client: i64, payment: &str, payer: &str, minor: i64, at: UnixMillis) -> Exposure {
    Exposure {
        client: UserId(client),
        payment: payment.to_owned(),
        payer: payer.to_owned(),
        payee: "alice".to_owned(),
        amount: Amount::from_minor(minor, Currency::USD),
        at,
    }
}

fn day_before(at: UnixMillis) -> UnixMillis {
    UnixMillis::from_millis(at.as_millis() - i64::try_from(DAY.as_millis()).unwrap())
}

async fn decide(exposures: &SqliteExposures, exposure: &Exposure) -> ExposureDecision {
    let since = day_before(exposure.at);
    let bounds = ExposureBounds { payment_minor: PAYMENT, payer_minor: PAYER, since };
    exposures.decide(exposure.clone(), bounds).await.unwrap()
}

/// What deciding is, in the simplest words.
#[derive(Default)]
struct Simple(BTreeMap<(i64, String), (Exposure, ExposureDecision)>);

impl Simple {
    fn name(exposure: &Exposure) -> (i64, String) {
        (exposure.client.0, exposure.payment.clone())
    }

    fn decide(&mut self, asked: &Exposure) -> ExposureDecision {
        if let Some((first, decision)) = self.0.get(&Self::name(asked)) {
            let is_same = (&first.payer, first.amount) == (&asked.payer, asked.amount);
            let is_released = *decision == ExposureDecision::Released;
            return if is_same || is_released { *decision } else { ExposureDecision::Other };
        }
        let counts = |(one, decision): &&(Exposure, ExposureDecision)| {
            *decision == ExposureDecision::Approved
                && (one.client, &one.payer) == (asked.client, &asked.payer)
                && one.at > day_before(asked.at)
        };
        let at_risk: i64 = self.0.values().filter(counts).map(|(one, _)| one.amount.minor()).sum();
        let decision = if asked.amount.minor() > PAYMENT {
            ExposureDecision::OverPaymentBound
        } else if at_risk + asked.amount.minor() > PAYER {
            ExposureDecision::OverPayerBound
        } else {
            ExposureDecision::Approved
        };
        self.0.insert(Self::name(asked), (asked.clone(), decision));
        decision
    }

    fn release(&mut self, given_up: &Exposure) {
        let entry = self.0.entry(Self::name(given_up));
        entry.or_insert((given_up.clone(), ExposureDecision::Released)).1 = ExposureDecision::Released;
    }
}

#[tokio::test]
async fn random_questions_and_releases_agree_with_a_simple_reference() {
    let (store, exposures) = exposures().await;
    let mut runner = TestRunner::deterministic();
    let mut simple = Simple::default();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let one = (1..=2_i64, 0..400_u32, 0..2_usize, 1..=66_i64, 0..30_u64, 0..5_u32);
    let mut now = UnixMillis::from_millis(1_000_000_000);
    for _ in 0..800 {
        let (client, payment, payer, minor, minutes, kind) = one.new_tree(&mut runner).unwrap().current();
        now = now.plus(Duration::from_mins(minutes / 3));
        let asked = exposure(client, &format!("pay_{payment}"), ["bob", "charlie"][payer], minor, now);
        // Now and then the same question again, as it was.
        let known = simple.0.get(&Simple::name(&asked)).map(|(first, _)| first.clone());
        let asked = match known {
            Some(first) if kind < 3 => Exposure { at: now, ..first },
            _ => asked,
        };
        if kind == 4 {
            exposures.release(asked.clone()).await.unwrap();
            simple.release(&asked);
        } else {
            let decision = decide(&exposures, &asked).await;
            assert_eq!(decision, simple.decide(&asked), "{asked:?}");
            *counts.entry(format!("{decision:?}")).or_default() += 1;
        }
    }
    assert!(
        counts.len() == 5 && counts.values().all(|count| *count >= 10),
        "every decision is made: {counts:?}"
    );
    store.close().await.unwrap();
}

#[tokio::test]
async fn exposure_counts_for_a_day_and_a_decision_is_kept_far_longer() {
    let (store, exposures) = exposures().await;
    let began = UnixMillis::from_millis(1_000_000_000);
    let at = |span: Duration| began.plus(span);
    for number in 0..4 {
        let asked = exposure(1, &format!("pay_{number}"), "bob", 50, began);
        assert_eq!(decide(&exposures, &asked).await, ExposureDecision::Approved);
    }
    let moment = Duration::from_millis(1);
    let early = exposure(1, "pay_early", "bob", 1, at(DAY - moment));
    assert_eq!(decide(&exposures, &early).await, ExposureDecision::OverPayerBound);
    let late = exposure(1, "pay_late", "bob", 50, at(DAY));
    assert_eq!(decide(&exposures, &late).await, ExposureDecision::Approved);
    let again = exposure(1, "pay_early", "bob", 1, at(DAY * 6));
    assert_eq!(decide(&exposures, &again).await, ExposureDecision::OverPayerBound);
    // After a week it is another payment.
    for (number, day) in (0..4).map(|number| (number, 9 + number)) {
        let asked = exposure(1, &format!("pay_{number}"), "bob", 60, at(DAY * day));
        assert_eq!(decide(&exposures, &asked).await, ExposureDecision::Approved);
    }
    store.close().await.unwrap();
}
