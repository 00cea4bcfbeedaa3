//! How SQLite goes about every statement that reads what grows: along an index, from the first step to the last. What is
//! looked at is the plan and not the time that it takes.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};

use super::{
    SqliteLocation, audit,
    audit_notes::{self, Appended},
    database,
    known_accounts::KnownAccounts,
    ledger, monthly, payments, spending,
};
use crate::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        AuditFilter, BatchId, KeyId, Month, NewPayment, NewTransfer, Outcome, PaymentChange, PaymentFilter,
        PaymentId, PaymentStatus, UserId,
    },
};

/// What has no bound, by the names that statements give it.
const GROWING: [&str; 12] =
    ["transfers", "t", "entries", "e", "payments", "p", "audit_packs", "b0", "b1", "b2", "b3", "spendings"];

const USER: UserId = UserId(1);
const NOW: UnixMillis = UnixMillis::from_millis(1);

thread_local! {
    /// The statements of this thread.
    static STATEMENTS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// The statements that `work` runs, each with its plan.
fn plans<T>(connection: &Connection, work: impl FnOnce(&Connection) -> T) -> Vec<(String, Vec<String>)> {
    STATEMENTS.take();
    connection.trace_v2(
        TraceEventCodes::SQLITE_TRACE_STMT,
        Some(|event| {
            if let TraceEvent::Stmt(_, sql) = event
                && !sql.starts_with("--")
            {
                STATEMENTS.with_borrow_mut(|statements| statements.insert(sql.to_owned()));
            }
        }),
    );
    let _ = work(connection);
    connection.trace_v2(TraceEventCodes::empty(), None);
    let ran = STATEMENTS.take();
    assert!(!ran.is_empty(), "nothing was asked");
    let plan = |sql: String| {
        let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // The parameters are null: the plan does not depend on them.
        let steps = explained.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<_>>();
        (sql, steps.unwrap())
    };
    ran.into_iter().map(plan).collect()
}

fn database() -> Connection {
    let mut connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
    database::migrate(&mut connection).unwrap();
    connection.execute_batch("INSERT INTO accounts VALUES (1, 'a', 'USD', 0), (2, 'b', 'USD', 0)").unwrap();
    connection
}

/// Nothing that grows is read from one end to the other, and nothing but the page itself is sorted.
#[track_caller]
fn goes_along_indexes(plans: &[(String, Vec<String>)]) {
    for (sql, steps) in plans {
        let is_whole = |step: &&String| {
            step.strip_prefix("SCAN ")
                .is_some_and(|rest| GROWING.iter().any(|table| rest.split(' ').next() == Some(table)))
        };
        assert_eq!(steps.iter().find(is_whole), None, "{sql}\n{steps:#?}");
    }
}

#[track_caller]
fn takes(plans: &[(String, Vec<String>)], index: &str) {
    let named = format!(" {index} (");
    let is_taken = plans.iter().any(|(_, steps)| steps.iter().any(|step| step.contains(&named)));
    assert!(is_taken, "{index} is not taken: {plans:#?}");
}

/// From one block that has what is looked for to the next, unsorted, and within each along the numbers of its packs.
#[track_caller]
fn goes_through_blocks(plans: &[(String, Vec<String>)]) {
    let through =
        plans.iter().find(|(sql, _)| sql.contains("audit_blocks b0")).expect("blocks are looked at");
    let steps: Vec<_> = through.1.iter().map(String::as_str).collect();
    let [from, rest @ ..] = steps.as_slice() else { panic!("{steps:#?}") };
    assert_eq!(*from, "SEARCH b0 USING PRIMARY KEY (what=? AND value=? AND block>? AND block<?)");
    assert!(rest.iter().all(|step| step.ends_with("USING PRIMARY KEY (what=? AND value=? AND block=?)")));
}

#[test]
fn the_ledger_is_read_along_its_indexes() {
    let month: Month = "2024-03".parse().unwrap();
    let plans = plans(&database(), |connection| {
        let accounts = KnownAccounts::default();
        ledger::balance(connection, &accounts, USER).unwrap();
        ledger::latest(connection, &accounts, USER, 3).unwrap();
        ledger::transfers(connection, &accounts, USER, 3).unwrap();
        // Of none all are earlier.
        for limit in [3, 0] {
            monthly::transfers(connection, &accounts, USER, month, limit).unwrap();
        }
        monthly::months(connection, USER).unwrap();
        monthly::peers(connection, USER).unwrap();
    });
    goes_along_indexes(&plans);
    takes(&plans, "entries_by_date");
    for (sql, steps) in &plans {
        let is_sorted = |step: &String| step.contains("TEMP B-TREE") && !sql.contains("account_peers");
        assert!(!steps.iter().any(is_sorted), "{sql}\n{steps:#?}");
    }
}

#[test]
fn payments_are_listed_along_an_index_whatever_is_asked_for() {
    let connection = database();
    let page = |filter: PaymentFilter| {
        let plans = plans(&connection, |connection| payments::page(connection, &filter, 20).unwrap());
        goes_along_indexes(&plans);
        plans
    };
    let mine = PaymentFilter { visible_to: Some(USER), ..PaymentFilter::default() };
    let named = Some("name".to_owned());
    page(PaymentFilter::default());
    let plans = page(mine.clone());
    takes(&plans, "payments_by_status");
    takes(&plans, "payments_paid");
    for status in PaymentStatus::ALL {
        let plans = page(PaymentFilter { status: Some(status), ..mine.clone() });
        takes(&plans, "payments_by_status");
        if status.is_paid() {
            takes(&plans, "payments_paid");
        }
        takes(
            &page(PaymentFilter { status: Some(status), idempotency_key: named.clone(), ..mine.clone() }),
            "payments_by_name",
        );
    }
    takes(&page(PaymentFilter { idempotency_key: named, ..mine }), "payments_by_name");
}

#[test]
fn what_is_asked_of_payments_in_passing_goes_along_an_index() {
    let plans = plans(&database(), |connection| {
        let id = PaymentId("pay_1".to_owned());
        payments::by_id(connection, &id).unwrap();
        payments::of_batch(connection, &BatchId("batch_1".to_owned())).unwrap();
        payments::overdue(connection, NOW, 10).unwrap();
        payments::stalled(connection, NOW, 10).unwrap();
        let amount = Amount::from_minor(1, Currency::from_code("USD").unwrap());
        payments::similar(connection, USER, UserId(2), amount, NOW).unwrap();
        let key = KeyId("a".to_owned());
        spending::spent(connection, &key, NOW).unwrap();
        spending::spend(connection, &key, NOW, 1).unwrap();
        spending::idempotency_record(connection, USER, "createPayment", "name", NOW).unwrap();
    });
    goes_along_indexes(&plans);
    takes(&plans, "payments_by_likeness");
    takes(&plans, "payments_by_end");
    takes(&plans, "payments_in_progress");
}

#[test]
fn no_rule_of_a_payment_makes_a_table_of_its_own() {
    let connection = database();
    let amount = Amount::from_minor(1, Currency::from_code("USD").unwrap());
    let (key, id) = (KeyId("a".to_owned()), PaymentId("pay_1".to_owned()));
    let payment = NewPayment {
        id: id.clone(),
        step: None,
        payer: USER,
        payee: UserId(2),
        key: key.clone(),
        lineage: key.clone(),
        amount,
        memo: None,
        status: PaymentStatus::RequiresConfirmation,
        created_at: NOW,
        expires_at: NOW,
        duplicate_of: None,
        idempotency_key: None,
        failure: None,
    };
    let transfer =
        NewTransfer { id: None, from: USER, to: UserId(2), amount, date: jiff::civil::date(2024, 3, 15) };
    let plans = plans(&connection, |connection| {
        payments::similar(connection, USER, UserId(2), amount, NOW).unwrap();
        payments::insert(connection, &payment, ("a".to_owned(), "b".to_owned())).unwrap();
        spending::spend(connection, &key, NOW, 1).unwrap();
        let transfer = Some(ledger::post(connection, &transfer).unwrap().id);
        let (status, failure) = (PaymentStatus::Succeeded, None);
        payments::change(
            connection,
            &PaymentChange { id, status, at: NOW, refunded_minor: 0, transfer, failure, confirmed_by: None },
        )
        .unwrap();
    });
    for (sql, _) in plans {
        let mut explained = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let steps = explained.raw_query().mapped(|row| row.get::<_, String>(1));
        let steps: Vec<_> = steps.collect::<rusqlite::Result<_>>().unwrap();
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}");
    }
}

#[test]
fn the_audit_trail_is_read_along_an_index_whatever_is_asked_for() {
    let connection = database();
    let page = |filter: AuditFilter| {
        let plans = plans(&connection, |connection| audit::page(connection, &filter, None, 20).unwrap());
        goes_along_indexes(&plans);
        plans
    };
    let all = AuditFilter::default();
    page(all.clone());
    goes_along_indexes(&plans(&connection, |connection| audit::after(connection, None, 20).unwrap()));
    goes_along_indexes(&plans(&connection, |connection| {
        audit_notes::note_full(connection, &mut Appended::default()).unwrap()
    }));
    let (name, key) = (Some("a".to_owned()), Some(KeyId("a".to_owned())));
    for filter in [
        AuditFilter { username: name.clone(), ..all.clone() },
        AuditFilter { key: key.clone(), ..all.clone() },
        AuditFilter { tool: name.clone(), since: Some(NOW), ..all.clone() },
        AuditFilter { outcome: Some(Outcome::Denied), ..all.clone() },
        AuditFilter { username: name.clone(), key, tool: name, outcome: Some(Outcome::Ok), ..all },
    ] {
        goes_through_blocks(&page(filter));
    }
}
