//! What a key may pay.

use clap::Args;
use serde::Serialize;
use serde_json::Number;

use super::super::{Desk, NONE, mistake};
use crate::{
    identity::{Permission, PermissionSet},
    money::{Amount, Currency},
    store::{KeyMode, PaymentPolicy, PolicyChange, StoredKey},
};

/// Limits on what a key may pay, in major units of its account's currency.
#[derive(Debug, Args)]
pub struct Limits {
    /// Below this amount nobody is asked before a payment; 0 to ask always
    #[arg(long, value_name = "AMOUNT")]
    automatic_below: Option<String>,
    /// The most that one payment may be; `none` for no such limit
    #[arg(long, value_name = "AMOUNT")]
    max: Option<String>,
    /// The most that may be paid within 24 hours, by the key and those that replace it; `none` for no such limit
    #[arg(long, value_name = "AMOUNT")]
    day_budget: Option<String>,
    /// A user that it may pay; may be repeated. `none` lets it pay anybody
    #[arg(long = "payee", value_name = "USER")]
    payees: Vec<String>,
}

/// What a key may pay, as it is told of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToldPolicy {
    currency: &'static str,
    automatic_below: Number,
    maximum: Option<Number>,
    day_budget: Option<Number>,
    payees: Vec<String>,
}

/// What is changed about what a key may pay, and in words what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Limited {
    pub(super) policy: PolicyChange,
    pub(super) becomes: String,
}

impl Limits {
    /// What they change, for a key of this user and mode; `None` where nothing is named.
    pub(super) async fn change(&self, desk: &Desk<'_>, key: &StoredKey) -> anyhow::Result<Option<Limited>> {
        let none = (&self.automatic_below, &self.max, &self.day_budget) == (&None, &None, &None);
        if none && self.payees.is_empty() {
            return Ok(None);
        }
        let currency = desk.store.balance(key.user).await?.balance.currency();
        let automatic_below = |text: &String| match text.as_str() {
            "0" | NONE => Ok(0),
            _ if key.mode == KeyMode::Demo => {
                Err(mistake("--automatic-below: a demo key asks before every payment; leave it out"))
            }
            _ => amount("--automatic-below", text, currency),
        };
        let limit = |option, text: &Option<String>| {
            text.as_ref().map(|text| limit(option, text, currency)).transpose()
        };
        let policy = PolicyChange {
            automatic_below_minor: self.automatic_below.as_ref().map(automatic_below).transpose()?,
            maximum_minor: limit("--max", &self.max)?,
            day_budget_minor: limit("--day-budget", &self.day_budget)?,
            payees: if self.payees.is_empty() { None } else { Some(self.payees(desk).await?) },
        };
        let becomes = in_words(&policy, currency);
        Ok(Some(Limited { policy, becomes }))
    }

    /// The payees, each of whom there is.
    async fn payees(&self, desk: &Desk<'_>) -> anyhow::Result<Vec<String>> {
        let holders = desk.store.holders().await?;
        if self.payees == [NONE] {
            if holders.iter().any(|holder| holder.username == NONE) {
                return Err(mistake(
                    "--payee none: there is a user of this name, so that this could mean them or anybody: leave it \
                     out, and make another key for one that may pay anybody",
                ));
            }
            return Ok(Vec::new());
        }
        match self.payees.iter().find(|payee| holders.iter().all(|holder| holder.username != **payee)) {
            Some(unknown) => {
                Err(mistake(format!("--payee: there is no user `{unknown}` (`server users list`)")))
            }
            None => Ok(self.payees.clone()),
        }
    }
}

/// What it becomes.
fn in_words(change: &PolicyChange, currency: Currency) -> String {
    let amount = |minor: Option<i64>| {
        let told = |minor| format!("{} {}", Amount::from_minor(minor, currency).to_number(), currency.code());
        minor.map_or_else(|| NONE.to_owned(), told)
    };
    let whom = |payees: &[String]| if payees.is_empty() { NONE.to_owned() } else { payees.join(" ") };
    let limits = [
        ("automatic-below", change.automatic_below_minor.map(Some)),
        ("max", change.maximum_minor),
        ("day-budget", change.day_budget_minor),
    ];
    let limits = limits.into_iter().filter_map(|(name, is)| is.map(|is| format!("{name} {}", amount(is))));
    let payees = change.payees.as_ref().map(|is| format!("payee {}", whom(is)));
    limits.chain(payees).collect::<Vec<_>>().join("; ")
}

fn limit(option: &str, text: &str, currency: Currency) -> anyhow::Result<Option<i64>> {
    if text == NONE { Ok(None) } else { amount(option, text, currency).map(Some) }
}

fn amount(option: &str, text: &str, currency: Currency) -> anyhow::Result<i64> {
    let read = Amount::read(text, currency);
    read.map(Amount::minor).map_err(|error| mistake(format!("{option}: {error}")))
}

/// What the key may pay; `None` for one that may not pay at all.
pub(super) async fn told(desk: &Desk<'_>, key: &StoredKey) -> anyhow::Result<Option<ToldPolicy>> {
    if !PermissionSet::from_bits(key.permissions).iter().any(|one| one == Permission::PaymentsWrite) {
        return Ok(None);
    }
    let currency = desk.store.balance(key.user).await?.balance.currency();
    let PaymentPolicy { automatic_below_minor, maximum_minor, day_budget_minor, payees } =
        desk.store.policy(&key.id).await?;
    let number = |minor| Amount::from_minor(minor, currency).to_number();
    Ok(Some(ToldPolicy {
        currency: currency.code(),
        automatic_below: number(automatic_below_minor),
        maximum: maximum_minor.map(number),
        day_budget: day_budget_minor.map(number),
        payees,
    }))
}

impl ToldPolicy {
    /// One line for each thing that there is to know.
    pub(super) fn rows(&self) -> [(&'static str, String); 4] {
        let amount = |number: &Option<Number>| {
            number.as_ref().map_or_else(|| NONE.to_owned(), |number| format!("{number} {}", self.currency))
        };
        let payees = if self.payees.is_empty() { "anybody".to_owned() } else { self.payees.join(", ") };
        [
            ("pays unasked below", format!("{} {}", self.automatic_below, self.currency)),
            ("most of one payment", amount(&self.maximum)),
            ("most in 24 hours", amount(&self.day_budget)),
            ("may pay", payees),
        ]
    }
}
