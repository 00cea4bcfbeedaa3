//! The step that made the table of payments anew: whatever was in it is in it, and its rules are the same.

use std::time::Duration;

use rusqlite::{Connection, types::Value};

use super::{SqliteLocation, database};
use crate::store::PaymentStatus;

/// How many steps the schema had before.
const BEFORE: usize = 12;

/// A database as it was before, with a payment in every status.
fn old() -> Connection {
    let connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
    for step in &database::MIGRATIONS[..BEFORE] {
        connection.execute_batch(step).unwrap();
    }
    connection.pragma_update(None, "application_id", 0x4d43_5050).unwrap();
    connection.pragma_update(None, "user_version", 12).unwrap();
    connection.execute_batch("INSERT INTO accounts VALUES (1, 'a', 'USD', 0), (2, 'b', 'USD', 0)").unwrap();
    for (number, status) in (1..).zip(PaymentStatus::ALL) {
        let insert = "INSERT INTO payments (id, payer, payee, key_id, lineage, amount_minor, currency, memo, status,
                          created_at, expires_at, changed_at, idempotency_key)
                      VALUES ('pay_' || ?1, 1, 2, '1', '1', 10 * ?1, 'USD', 'for ' || ?1, 'requires_confirmation',
                          ?1, 1000 + ?1, ?1, 'name-' || ?1)";
        connection.execute(insert, [number]).unwrap();
        if status.is_paid() {
            let post = "INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
                        VALUES (?1, 1, 2, 10 * ?1, 'USD', '2024-03-15')";
            connection.execute(post, [number]).unwrap();
            let pay = "UPDATE payments SET status = 'succeeded', transfer_id = ?1 WHERE id = 'pay_' || ?1";
            connection.execute(pay, [number]).unwrap();
        }
        let (given_back, step) = match status {
            PaymentStatus::RequiresConfirmation | PaymentStatus::Succeeded => continue,
            PaymentStatus::Refunded => ("amount_minor", status),
            PaymentStatus::PartiallyRefunded => ("1", status),
            _ => ("0", status),
        };
        let sql =
            format!("UPDATE payments SET status = ?2, refunded_minor = {given_back} WHERE id = 'pay_' || ?1");
        connection.execute(&sql, (number, step.as_str())).unwrap();
    }
    connection
}

fn rows(connection: &Connection, table: &str) -> Vec<Vec<Value>> {
    let columns = "seq, id, batch, step, payer, payee, key_id, lineage, amount_minor, currency, memo, status, created_at,
         expires_at, changed_at, refunded_minor, transfer_id, duplicate_of, idempotency_key, failure";
    let columns = if table == "payments" { columns } else { "*" };
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1")).unwrap();
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get(column)).collect();
    statement.query_map([], read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn payments_of_before_are_all_there_and_go_on() {
    let mut connection = old();
    let kept = ["payments", "account_reservations", "transfers", "entries", "sqlite_sequence"];
    let before = kept.map(|table| rows(&connection, table));
    assert_eq!(before[0].len(), PaymentStatus::ALL.len());

    assert_eq!(database::migrate(&mut connection).unwrap().before, BEFORE);
    for (table, before) in kept.iter().zip(before) {
        let (mut before, mut after) = (before, rows(&connection, table));
        before.sort_by_key(|row| format!("{row:?}"));
        after.sort_by_key(|row| format!("{row:?}"));
        assert_eq!(before, after, "{table}");
    }
    let broken: i64 =
        connection.query_row("SELECT count (*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(broken, 0);

    // Every way that a payment may move, and no other. Whatever else a status asks for is there: a transfer that nothing has
    // been paid by, and as much given back as it says.
    let post = "INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
                VALUES (99, 1, 2, 1, 'USD', '2024-03-15')";
    connection.execute(post, []).unwrap();
    for (from, to) in PaymentStatus::ALL.iter().flat_map(|from| PaymentStatus::ALL.map(|to| (*from, to))) {
        let given_back = match to {
            PaymentStatus::Refunded => "amount_minor",
            PaymentStatus::PartiallyRefunded => "amount_minor - 1",
            _ => "0",
        };
        let transfer = if to.is_paid() { "COALESCE (transfer_id, 99)" } else { "NULL" };
        let sql = format!(
            "UPDATE payments SET status = ?2, transfer_id = {transfer}, refunded_minor = {given_back} WHERE status = ?1"
        );
        connection.execute_batch("SAVEPOINT one").unwrap();
        let moved = connection.execute(&sql, [from.as_str(), to.as_str()]);
        assert_eq!(moved.is_ok(), from.may_become(to), "{from:?} to {to:?}: {moved:?}");
        connection.execute_batch("ROLLBACK TO one; RELEASE one").unwrap();
    }
    let next = "INSERT INTO payments (id, payer, payee, key_id, lineage, amount_minor, currency, status,
                    created_at, expires_at, changed_at)
                VALUES ('pay_next', 1, 2, '1', '1', 7, 'USD', ?1, 1, 2, 1)";
    connection.execute(next, ["succeeded"]).expect_err("nothing begins paid");
    connection.execute(next, ["unheard of"]).expect_err("there is no such status");
    connection.execute(next, ["requires_confirmation"]).unwrap();
    assert_eq!(connection.last_insert_rowid(), i64::try_from(PaymentStatus::ALL.len()).unwrap() + 1);
}
