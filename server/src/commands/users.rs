//! `server users`: who keys speak for.

use clap::Subcommand;
use serde::Serialize;

use super::{Deed, Desk, NONE, mistake, table};
use crate::{
    money::{Amount, Currency},
    store::{AccountHolder, StoreError, UserId},
};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Make a user with an empty account
    Create {
        /// The name by which others pay the user: 1 to 32 of a-z, 0-9, `-` and `_`, beginning with a letter; not `none`
        name: String,
        /// The currency of the account
        #[arg(long, default_value = "USD")]
        currency: String,
        /// How far below zero the account may go, in whole units of the currency
        #[arg(long, default_value_t = 0)]
        credit_limit: u32,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// List all users
    List {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: i64,
    name: String,
    currency: String,
    credit_limit_minor: i64,
}

impl From<AccountHolder> for Told {
    fn from(holder: AccountHolder) -> Self {
        Self {
            id: holder.user.0,
            name: holder.username,
            currency: holder.currency,
            credit_limit_minor: holder.credit_limit_minor,
        }
    }
}

pub(super) async fn run(command: Users, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match command {
        Users::Create { name, currency, credit_limit, json } => {
            let holder = create(desk, name, &currency, credit_limit).await?;
            tell(desk, vec![holder], json)
        }
        Users::List { json } => {
            let holders = desk.store.holders().await?;
            tell(desk, holders, json)
        }
    }
}

async fn create(
    desk: &Desk<'_>,
    name: String,
    currency: &str,
    credit_limit: u32,
) -> anyhow::Result<AccountHolder> {
    if !is_name(&name) {
        return Err(mistake("a name has 1 to 32 of a-z, 0-9, - and _, and begins with a letter"));
    }
    if name == NONE {
        return Err(mistake(
            "`none` names nobody: `--payee none` lets a key pay anybody; choose another name",
        ));
    }
    let currency =
        Currency::from_code(currency).ok_or_else(|| mistake(format!("`{currency}` is no currency")))?;
    let limit = Amount::from_major(i64::from(credit_limit), currency);
    let limit = limit.ok_or_else(|| mistake("--credit-limit is too large"))?;
    let holders = desk.store.holders().await?;
    if holders.iter().any(|holder| holder.username == name) {
        return Err(mistake(format!("there is a user `{name}` already")));
    }
    let next = holders.iter().map(|holder| holder.user.0).max().unwrap_or(0).saturating_add(1);
    let holder = AccountHolder {
        user: UserId(next),
        username: name,
        currency: currency.code().to_owned(),
        credit_limit_minor: limit.minor(),
    };
    let deed = Deed {
        user: holder.user,
        username: &holder.username,
        becomes: Some(format!("{}, may owe {}", holder.currency, limit.to_number())),
        ..Deed::new("server users create".to_owned())
    };
    match desk.store.record_holder(holder.clone(), Some(deed.record()?)).await {
        Ok(()) => Ok(holder),
        Err(StoreError::Taken(_)) => Err(mistake("another user was made at the same moment: try again")),
        Err(error) => Err(error.into()),
    }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=32).contains(&name.len())
        && name.bytes().all(inner)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
}

fn tell(desk: &mut Desk<'_>, holders: Vec<AccountHolder>, json: bool) -> anyhow::Result<()> {
    let told: Vec<_> = holders.into_iter().map(Told::from).collect();
    if json {
        return desk.say_json(&told);
    }
    let rows = told
        .into_iter()
        .map(|user| [user.id.to_string(), user.name, user.currency, user.credit_limit_minor.to_string()]);
    desk.say(&table::draw(["id", "name", "currency", "credit limit (minor units)"], rows))
}
