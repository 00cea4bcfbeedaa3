//! What stands around payments: accounts as they are locked, policies, budgets, idempotency, compensations.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::{
    failure::Failure,
    keys, ledger,
    rows::{
        Parameters, bytes, cell, currency, execute, in_turn, number, row, rows, storable, time, value, words,
    },
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        AccountState, Compensation, Held, IdempotencyRecord, KeyId, PaymentPolicy, PolicyChange, StoreError,
        StoredKey, UserId,
    },
};

/// How many expired idempotency records are forgotten whenever one is kept: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: i64 = 8;

pub(super) async fn user_named(
    transaction: &impl GenericClient,
    username: &str,
) -> Result<Option<UserId>, Failure> {
    let found =
        row(transaction, "SELECT user_id FROM accounts WHERE username = $1", &[&storable(username)]).await?;
    found.map(|row| cell(&row, 0).map(UserId)).transpose()
}

/// A key and what it may pay, where there is one.
type KeyAndPolicy = Option<(StoredKey, PaymentPolicy)>;

/// What there is to know of accounts that are locked.
macro_rules! select_accounts {
    ($of:expr) => {
        concat!(
            "SELECT a.user_id, a.username, a.currency, COALESCE ((
                 SELECT balance_minor FROM entries e WHERE e.user_id = a.user_id
                 ORDER BY transfer_seq DESC LIMIT 1), 0), a.credit_limit_minor, COALESCE (r.reserved_minor, 0)
             FROM accounts a LEFT JOIN account_reservations r ON r.user_id = a.user_id
             WHERE a.user_id = ANY (",
            $of,
            ") ORDER BY a.user_id"
        )
    };
}

const ACCOUNTS: &str = select_accounts!("$1");

/// A user, and whoever has a name, if somebody has.
macro_rules! with_named {
    () => {
        "ARRAY[$1, (SELECT user_id FROM accounts WHERE username = $2)]"
    };
}

const LOCK_WITH_NAMED: &str = concat!(
    "SELECT user_id FROM accounts WHERE user_id = ANY (",
    with_named!(),
    ") ORDER BY user_id FOR NO KEY UPDATE"
);
const ACCOUNTS_WITH_NAMED: &str = select_accounts!(with_named!());

/// The accounts of these users, in the order of their numbers, which nobody else changes until the transaction ends.
pub(super) async fn accounts(
    transaction: &impl GenericClient,
    users: &[UserId],
) -> Result<Vec<AccountState>, Failure> {
    let numbers: Vec<_> = users.iter().map(|user| user.0).collect();
    let of: Parameters<'_> = &[&numbers];
    let [_, found] = in_turn(transaction, [(ledger::LOCK_ACCOUNTS, of), (ACCOUNTS, of)]).await?;
    read_accounts(&found, users)
}

/// Accounts, and then a key and what it may pay; nobody else changes any of it until the transaction ends. In this order,
/// since those who pay with the same key would otherwise hold it all at once: PostgreSQL has to keep a list of them, and lets
/// the next one in beside them, whoever waits to change the key.
pub(super) async fn hold(
    transaction: &impl GenericClient,
    users: &[UserId],
    key: &KeyId,
) -> Result<Held, Failure> {
    let numbers: Vec<_> = users.iter().map(|user| user.0).collect();
    let (of_users, of_key): (Parameters<'_>, Parameters<'_>) = (&[&numbers], &[&key.0]);
    let asked =
        [(ledger::LOCK_ACCOUNTS, of_users), (ACCOUNTS, of_users), (keys::HOLD, of_key), (POLICY, of_key)];
    let [_, found, key, policy] = in_turn(transaction, asked).await?;
    Ok((read_accounts(&found, users)?, read_key_and_policy(&key, &policy)?))
}

/// The same of a payer and of whoever has a name; a name is never another's, so that it need not be looked up first.
pub(super) async fn hold_with_named(
    transaction: &impl GenericClient,
    payer: UserId,
    name: &str,
    key: &KeyId,
) -> Result<(Option<UserId>, Held), Failure> {
    let name = storable(name);
    let (both, of_key): (Parameters<'_>, Parameters<'_>) = (&[&payer.0, &name], &[&key.0]);
    let asked =
        [(LOCK_WITH_NAMED, both), (ACCOUNTS_WITH_NAMED, both), (keys::HOLD, of_key), (POLICY, of_key)];
    let [locked, mut found, key, policy] = in_turn(transaction, asked).await?;
    // Whoever got the name between the two statements is not locked, and nobody yet.
    let locked: Vec<i64> = locked.iter().map(|row| cell(row, 0)).collect::<Result<_, _>>()?;
    found.retain(|row| cell::<i64>(row, 0).is_ok_and(|user| locked.contains(&user)));
    let accounts = read_accounts(&found, &[payer])?;
    let named = accounts.iter().find(|account| account.username == name).map(|account| account.user);
    Ok((named, (accounts, read_key_and_policy(&key, &policy)?)))
}

/// Each of them once, or none where one is missing.
fn read_accounts(found: &[Row], users: &[UserId]) -> Result<Vec<AccountState>, Failure> {
    let accounts: Vec<_> = found.iter().map(read_account).collect::<Result<_, _>>()?;
    match users.iter().find(|user| accounts.iter().all(|account| account.user != **user)) {
        Some(missing) => Err(StoreError::NoSuchAccount(missing.0.to_string()).into()),
        None => Ok(accounts),
    }
}

fn read_account(row: &Row) -> Result<AccountState, Failure> {
    Ok(AccountState {
        user: UserId(cell(row, 0)?),
        username: cell(row, 1)?,
        balance: Amount::from_minor(cell(row, 3)?, currency(row, 2)?),
        credit_limit_minor: cell(row, 4)?,
        reserved_minor: cell(row, 5)?,
    })
}

/// What the keys of a key's line may pay.
const POLICY: &str = "
    SELECT automatic_below_minor, maximum_minor, day_budget_minor, payees FROM payment_policies
    WHERE lineage = (SELECT lineage FROM api_keys WHERE id = $1)";

pub(super) async fn policy(client: &impl GenericClient, key: &KeyId) -> Result<PaymentPolicy, Failure> {
    read_policy(row(client, POLICY, &[&key.0]).await?.as_ref())
}

fn read_key_and_policy(key: &[Row], policy: &[Row]) -> Result<KeyAndPolicy, Failure> {
    let Some(key) = key.first() else { return Ok(None) };
    Ok(Some((keys::read_key(key)?, read_policy(policy.first())?)))
}

/// A policy that was read; nothing special where there is none.
fn read_policy(found: Option<&Row>) -> Result<PaymentPolicy, Failure> {
    let Some(found) = found else { return Ok(PaymentPolicy::default()) };
    Ok(PaymentPolicy {
        automatic_below_minor: cell(found, 0)?,
        maximum_minor: cell(found, 1)?,
        day_budget_minor: cell(found, 2)?,
        payees: words(found, 3)?,
    })
}

/// The first key of the line that this one is of.
async fn lineage(client: &impl GenericClient, key: &KeyId) -> Result<Option<KeyId>, Failure> {
    let found = row(client, "SELECT lineage FROM api_keys WHERE id = $1", &[&key.0]).await?;
    found.map(|row| cell(&row, 0).map(KeyId)).transpose()
}

/// Work on money holds its key until it ends; so this waits for what is paid under the old policy, and nothing is after it.
pub(super) async fn change_policy(
    transaction: &impl GenericClient,
    key: &KeyId,
    change: PolicyChange,
) -> Result<(), Failure> {
    let Some(lineage) = lineage(transaction, key).await? else { return Ok(()) };
    if change == PolicyChange::default() {
        return Ok(());
    }
    let line = "SELECT id FROM api_keys WHERE lineage = $1 ORDER BY id FOR NO KEY UPDATE";
    rows(transaction, line, &[&lineage.0]).await?;
    let mut policy = self::policy(transaction, key).await?;
    change.apply(&mut policy);
    let write = "INSERT INTO payment_policies
                     (lineage, automatic_below_minor, maximum_minor, day_budget_minor, payees)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (lineage) DO UPDATE SET automatic_below_minor = $2, maximum_minor = $3,
                     day_budget_minor = $4, payees = $5";
    let parameters: Parameters<'_> = &[
        &lineage.0,
        &policy.automatic_below_minor,
        &policy.maximum_minor,
        &policy.day_budget_minor,
        &policy.payees.join(" "),
    ];
    execute(transaction, write, parameters).await?;
    Ok(())
}

pub(super) async fn spent(
    transaction: &impl GenericClient,
    lineage: &KeyId,
    since: UnixMillis,
) -> Result<i64, Failure> {
    let sum =
        "SELECT COALESCE (sum (spent_minor), 0)::bigint FROM spendings WHERE lineage = $1 AND minute >= $2";
    value(transaction, sum, &[&lineage.0, &since.minute()]).await
}

/// Adds to what a line has spent in a minute, or gives back: line, minute, minor units.
pub(super) const fn spending(minor: i64) -> &'static str {
    if minor < 0 {
        // What is forgotten has nothing to be given back to.
        "UPDATE spendings SET spent_minor = spent_minor + $3 WHERE lineage = $1 AND minute = $2"
    } else {
        "INSERT INTO spendings AS s (lineage, minute, spent_minor) VALUES ($1, $2, $3)
         ON CONFLICT (lineage, minute) DO UPDATE SET spent_minor = s.spent_minor + $3"
    }
}

pub(super) async fn spend(
    transaction: &impl GenericClient,
    lineage: &KeyId,
    at: UnixMillis,
    minor: i64,
) -> Result<(), Failure> {
    execute(transaction, spending(minor), &[&lineage.0, &at.minute(), &minor]).await.map(|_| ())
}

pub(super) async fn idempotency_record(
    transaction: &impl GenericClient,
    user: UserId,
    tool: &str,
    key: &str,
    now: UnixMillis,
) -> Result<Option<IdempotencyRecord>, Failure> {
    let wanted = "SELECT fingerprint, handle, expires_at FROM idempotency_records
                  WHERE user_id = $1 AND tool = $2 AND key = $3 AND expires_at > $4";
    let found = row(transaction, wanted, &[&user.0, &tool, &storable(key), &now.as_millis()]).await?;
    let read = |row: Row| {
        Ok(IdempotencyRecord {
            user,
            tool: tool.to_owned(),
            key: key.to_owned(),
            fingerprint: bytes(&row, 0)?,
            handle: cell(&row, 1)?,
            expires_at: time(&row, 2)?,
        })
    };
    found.map(read).transpose()
}

/// Where another named something so at this moment, the work is begun again and finds it.
pub(super) async fn put_idempotency_record(
    transaction: &impl GenericClient,
    record: &IdempotencyRecord,
    now: UnixMillis,
) -> Result<(), Failure> {
    let forget = "DELETE FROM idempotency_records WHERE (user_id, tool, key) IN (
                      SELECT user_id, tool, key FROM idempotency_records
                      WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
    execute(transaction, forget, &[&now.as_millis(), &FORGOTTEN_AT_ONCE]).await?;
    let keep = "INSERT INTO idempotency_records AS r (user_id, tool, key, fingerprint, handle, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (user_id, tool, key) DO UPDATE SET fingerprint = $4, handle = $5, expires_at = $6
                WHERE r.expires_at <= $7";
    let parameters: Parameters<'_> = &[
        &record.user.0,
        &record.tool,
        &storable(&record.key),
        &record.fingerprint.as_slice(),
        &record.handle,
        &record.expires_at.as_millis(),
        &now.as_millis(),
    ];
    if execute(transaction, keep, parameters).await? == 1 { Ok(()) } else { Err(Failure::InTheWay) }
}

pub(super) async fn compensate(
    transaction: &impl GenericClient,
    compensation: &Compensation,
) -> Result<(), Failure> {
    let keep = "INSERT INTO compensations (handle, payer, payee, amount_minor, currency, attempts, due_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (handle) DO NOTHING";
    let parameters: Parameters<'_> = &[
        &compensation.handle,
        &compensation.from,
        &compensation.to,
        &compensation.amount.minor(),
        &compensation.amount.currency().code(),
        &i64::from(compensation.attempts),
        &compensation.due_at.as_millis(),
    ];
    execute(transaction, keep, parameters).await.map(|_| ())
}

pub(super) async fn due_compensations(
    client: &impl GenericClient,
    now: UnixMillis,
    limit: u32,
) -> Result<Vec<Compensation>, Failure> {
    let due = "SELECT handle, payer, payee, amount_minor, currency, attempts, due_at FROM compensations
               WHERE done_at IS NULL AND due_at <= $1 ORDER BY due_at LIMIT $2";
    let read = |row: &Row| {
        Ok(Compensation {
            handle: cell(row, 0)?,
            from: cell(row, 1)?,
            to: cell(row, 2)?,
            amount: Amount::from_minor(cell(row, 3)?, currency(row, 4)?),
            attempts: number(row, 5)?,
            due_at: time(row, 6)?,
        })
    };
    rows(client, due, &[&now.as_millis(), &i64::from(limit)]).await?.iter().map(read).collect()
}

pub(super) async fn settle_compensation(
    transaction: &impl GenericClient,
    handle: &str,
    now: UnixMillis,
    retry_at: Option<UnixMillis>,
) -> Result<(), Failure> {
    let settle =
        "UPDATE compensations SET attempts = attempts + 1, done_at = $2, due_at = COALESCE ($3, due_at)
                  WHERE handle = $1 AND done_at IS NULL";
    let done_at = retry_at.is_none().then(|| now.as_millis());
    let parameters: Parameters<'_> = &[&handle, &done_at, &retry_at.map(UnixMillis::as_millis)];
    execute(transaction, settle, parameters).await.map(|_| ())
}
