//! `server payments`: looking at payments, and the owner's word where a client could not be asked.

use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;
use serde_json::Number;

use super::{COMMAND_LINE, Desk, mistake, table};
use crate::{
    money::Amount,
    payments::{
        Actor, Batch, Consent, Handle, PaymentError, Payments, RefundOrder, Refunded, RiskGate, record,
    },
    store::{PaymentFilter, PaymentId, PaymentStatus, StoredPayment, UserId},
};

/// What can be done with payments.
#[derive(Debug, Subcommand)]
pub enum PaymentsCommand {
    /// List payments, the newest first
    List {
        /// Those that this user makes or was paid by
        #[arg(long)]
        user: Option<String>,
        /// Those that have come so far, such as `requires_action`
        #[arg(long)]
        status: Option<PaymentStatus>,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Show a payment (pay_…) or the payments of a batch (batch_…)
    Show {
        /// The handle
        handle: String,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Execute a payment or a batch on its owner's word
    Approve {
        /// The handle
        handle: String,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Cancel a payment or a batch that was not executed
    Cancel {
        /// The handle
        handle: String,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Give a payment back to whoever made it
    Refund {
        /// The handle
        handle: String,
        /// How much, in major units of the currency; all that is left of it when it is left out
        #[arg(long)]
        amount: Option<String>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    payment_id: String,
    batch_id: Option<String>,
    status: &'static str,
    from: String,
    to: String,
    amount: Number,
    refunded_amount: Number,
    currency: &'static str,
    memo: Option<String>,
    key: String,
    created_at: String,
    expires_at: String,
    changed_at: String,
    failure: Option<String>,
    possible_duplicate_of: Option<String>,
}

impl From<&StoredPayment> for Told {
    fn from(stored: &StoredPayment) -> Self {
        let terms = &stored.payment;
        let currency = terms.amount.currency();
        Self {
            payment_id: terms.id.0.clone(),
            batch_id: terms.step.as_ref().map(|step| step.batch.0.clone()),
            status: stored.status().as_str(),
            from: stored.from.clone(),
            to: stored.to.clone(),
            amount: terms.amount.to_number(),
            refunded_amount: Amount::from_minor(stored.refunded_minor, currency).to_number(),
            currency: currency.code(),
            memo: terms.memo.clone(),
            key: terms.key.0.clone(),
            created_at: terms.created_at.to_string(),
            expires_at: terms.expires_at.to_string(),
            changed_at: stored.changed_at.to_string(),
            failure: terms.failure.clone(),
            possible_duplicate_of: terms.duplicate_of.as_ref().map(ToString::to_string),
        }
    }
}

pub(super) async fn run(command: PaymentsCommand, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match command {
        PaymentsCommand::List { user, status, limit, json } => {
            let visible_to = match user {
                Some(name) => Some(user_named(desk, &name).await?),
                None => None,
            };
            let filter = PaymentFilter { visible_to, status, ..PaymentFilter::default() };
            let payments = desk.store.payments(filter, limit).await?;
            tell(desk, &payments, json)
        }
        PaymentsCommand::Show { handle, json } => {
            let payments = named(desk, &handle).await?;
            tell(desk, &payments, json)
        }
        PaymentsCommand::Approve { handle, json } => {
            let payments = approve(desk, &handle).await?;
            tell(desk, &payments, json)
        }
        PaymentsCommand::Cancel { handle, json } => {
            let rules = payments(desk)?;
            let mut canceled = Vec::new();
            for payment in named(desk, &handle).await? {
                let actor = actor("cancel", payment.payment.payer, &payment)?;
                canceled.push(rules.cancel(actor, payment.id()).await.map_err(refused)?.0);
            }
            tell(desk, &canceled, json)
        }
        PaymentsCommand::Refund { handle, amount, json } => {
            let id = Handle::payment(&handle).ok_or_else(|| unknown(&handle))?;
            let payment = one(desk, &id).await?;
            let actor = actor("refund", payment.payment.payee, &payment)?;
            let order = RefundOrder { payment: id, amount, idempotency_key: None };
            match payments(desk)?.refund(actor, order, true).await.map_err(refused)? {
                Refunded::Done(refunded, _) => tell(desk, &[*refunded], json),
                Refunded::Ask => Err(mistake("the payee must be asked first")),
            }
        }
    }
}

/// The rules of payments, as the server has them: much money is assessed here as well.
fn payments(desk: &Desk<'_>) -> anyhow::Result<Payments> {
    let risk = RiskGate::open(desk.config.risk.as_ref())?;
    Ok(Payments::new(Arc::clone(&desk.store), risk))
}

async fn approve(desk: &Desk<'_>, handle: &str) -> anyhow::Result<Vec<StoredPayment>> {
    let rules = payments(desk)?;
    match Handle::parse(handle).ok_or_else(|| unknown(handle))? {
        Handle::Payment(id) => {
            let payment = one(desk, &id).await?;
            if payment.payment.step.is_some() {
                return Err(mistake(
                    "this payment is part of a batch: approve the batch, all of it or nothing",
                ));
            }
            let actor = actor("approve", payment.payment.payer, &payment)?;
            let (paid, was_before) =
                rules.decide(actor, &id, Consent::Accepted, None).await.map_err(refused)?;
            if was_before {
                let status = paid.status().as_str();
                return Err(mistake(format!("the payment is {status} already, and was not approved")));
            }
            Ok(vec![paid])
        }
        Handle::Batch(id) => {
            let payments = desk.store.batch(&id).await?;
            let first = payments.first().ok_or_else(|| unknown(handle))?;
            let actor = actor("approve", first.payment.payer, first)?;
            let batch = Batch { id, payments, is_replayed: false };
            let paid = rules.approve_batch(actor, batch).await.map_err(refused)?;
            if paid.is_replayed {
                let status = paid.status().as_str();
                return Err(mistake(format!("the batch is {status} already, and was not approved")));
            }
            Ok(paid.payments)
        }
    }
}

/// An operator, on behalf of an account's owner.
fn actor(what: &str, user: UserId, payment: &StoredPayment) -> anyhow::Result<Actor> {
    let record = record(COMMAND_LINE, &format!("server payments {what}"), payment)?;
    Ok(Actor { user, key: None, record })
}

/// What a rule says no to is a mistake of whoever asked.
fn refused(error: PaymentError) -> anyhow::Error {
    match error {
        PaymentError::Refused(refusal) => mistake(refusal.to_string()),
        PaymentError::Store(error) => error.into(),
    }
}

fn unknown(handle: &str) -> anyhow::Error {
    let shown: String = handle.chars().filter(char::is_ascii_graphic).take(64).collect();
    mistake(format!("there is no payment `{shown}`: `server payments list` shows them"))
}

async fn one(desk: &Desk<'_>, id: &PaymentId) -> anyhow::Result<StoredPayment> {
    desk.store.payment(id).await?.ok_or_else(|| unknown(&id.0))
}

async fn named(desk: &Desk<'_>, handle: &str) -> anyhow::Result<Vec<StoredPayment>> {
    let payments = match Handle::parse(handle).ok_or_else(|| unknown(handle))? {
        Handle::Payment(id) => vec![one(desk, &id).await?],
        Handle::Batch(id) => desk.store.batch(&id).await?,
    };
    if payments.is_empty() { Err(unknown(handle)) } else { Ok(payments) }
}

async fn user_named(desk: &Desk<'_>, name: &str) -> anyhow::Result<UserId> {
    let holders = desk.store.holders().await?;
    let holder = holders.into_iter().find(|holder| holder.username == name);
    Ok(holder
        .ok_or_else(|| mistake(format!("there is no user `{name}`: `server users list` shows them")))?
        .user)
}

fn tell(desk: &mut Desk<'_>, payments: &[StoredPayment], json: bool) -> anyhow::Result<()> {
    let told: Vec<_> = payments.iter().map(Told::from).collect();
    if json {
        return desk.say_json(&told);
    }
    let rows = told.into_iter().map(|payment| {
        let amount = format!("{} {}", payment.amount, payment.currency);
        let (batch, memo) = (payment.batch_id.unwrap_or_default(), payment.memo.unwrap_or_default());
        let status = payment.status.to_owned();
        [payment.payment_id, status, payment.from, payment.to, amount, memo, payment.created_at, batch]
    });
    let header = ["payment", "status", "from", "to", "amount", "memo", "created", "batch"];
    desk.say(&table::draw(header, rows))
}
