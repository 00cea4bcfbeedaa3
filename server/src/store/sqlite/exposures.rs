//! SQL of the risk service: what was decided about each payment.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Durability, SqliteStore, failure::unavailable};
use crate::store::{Exposure, ExposureBounds, ExposureDecision, ExposureStore, StoreError};

/// The one table, which the payment server's schema does not have.
const SCHEMA: &str = include_str!("exposures.sql");

/// For how long a decision is kept: far longer than anybody asks again.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// How many old decisions are forgotten whenever one is made: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: u32 = 4;

/// Decisions of the risk service, in its own database.
#[derive(Debug, Clone)]
pub struct SqliteExposures(Arc<SqliteStore>);

impl SqliteExposures {
    /// Makes what is missing in the database of `store`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn open(store: Arc<SqliteStore>) -> Result<Self, StoreError> {
        let make = |connection: &Connection| {
            connection.execute_batch(SCHEMA).map_err(unavailable("make the table of exposures"))
        };
        store.write(Durability::Power, make).await?;
        Ok(Self(store))
    }
}

#[async_trait]
impl ExposureStore for SqliteExposures {
    async fn decide(
        &self,
        exposure: Exposure,
        bounds: ExposureBounds,
    ) -> Result<ExposureDecision, StoreError> {
        let work = move |connection: &Connection| {
            decide(connection, &exposure, bounds).map_err(unavailable("decide about a payment"))
        };
        self.0.write(Durability::Power, work).await
    }

    async fn release(&self, exposure: Exposure) -> Result<(), StoreError> {
        let work = move |connection: &Connection| {
            keep(connection, &exposure, ExposureDecision::Released)
                .map_err(unavailable("release what was reserved"))
        };
        self.0.write(Durability::Power, work).await
    }
}

fn decide(
    connection: &Connection,
    asked: &Exposure,
    bounds: ExposureBounds,
) -> rusqlite::Result<ExposureDecision> {
    forget_old(connection, asked)?;
    if let Some(before) = before(connection, asked)? {
        return Ok(before);
    }
    let minor = asked.amount.minor();
    let decision = if minor > bounds.payment_minor {
        ExposureDecision::OverPaymentBound
    } else if at_risk(connection, asked, bounds)?.saturating_add(minor) > bounds.payer_minor {
        ExposureDecision::OverPayerBound
    } else {
        ExposureDecision::Approved
    };
    keep(connection, asked, decision)?;
    Ok(decision)
}

fn forget_old(connection: &Connection, asked: &Exposure) -> rusqlite::Result<()> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let mut old = connection.prepare_cached(
        "DELETE FROM exposures WHERE (client, payment) IN (
             SELECT client, payment FROM exposures WHERE at < ?1 ORDER BY at LIMIT ?2)",
    )?;
    old.execute(params![asked.at.as_millis().saturating_sub(kept), FORGOTTEN_AT_ONCE]).map(|_| ())
}

/// What was decided about the payment of this name. A released one stays released, whoever asks.
fn before(connection: &Connection, asked: &Exposure) -> rusqlite::Result<Option<ExposureDecision>> {
    let read = |row: &rusqlite::Row<'_>| {
        let is_same = row.get_ref(1)?.as_str()? == asked.payer
            && row.get_ref(2)?.as_str()? == asked.payee
            && row.get::<_, i64>(3)? == asked.amount.minor()
            && row.get_ref(4)?.as_str()? == asked.amount.currency().code();
        Ok(match row.get_ref(0)?.as_str()? {
            "released" => ExposureDecision::Released,
            _ if !is_same => ExposureDecision::Other,
            "approved" => ExposureDecision::Approved,
            "over_payment_bound" => ExposureDecision::OverPaymentBound,
            _ => ExposureDecision::OverPayerBound,
        })
    };
    connection
        .prepare_cached(
            "SELECT decision, payer, payee, amount_minor, currency FROM exposures
             WHERE client = ?1 AND payment = ?2",
        )?
        .query_row(params![asked.client.0, asked.payment], read)
        .optional()
}

/// How much of the payer's is at risk already, in the currency that is asked about.
fn at_risk(connection: &Connection, asked: &Exposure, bounds: ExposureBounds) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT COALESCE (SUM (amount_minor), 0) FROM exposures
             WHERE client = ?1 AND payer = ?2 AND currency = ?3 AND at > ?4 AND decision = 'approved'",
        )?
        .query_row(
            params![asked.client.0, asked.payer, asked.amount.currency().code(), bounds.since.as_millis()],
            |row| row.get(0),
        )
}

fn keep(connection: &Connection, asked: &Exposure, decision: ExposureDecision) -> rusqlite::Result<()> {
    let word = match decision {
        ExposureDecision::Approved => "approved",
        ExposureDecision::OverPaymentBound => "over_payment_bound",
        ExposureDecision::OverPayerBound => "over_payer_bound",
        ExposureDecision::Released => "released",
        // Decided before, under the same name.
        ExposureDecision::Other => return Ok(()),
    };
    connection
        .prepare_cached(
            "INSERT INTO exposures (client, payment, payer, payee, amount_minor, currency, decision, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (client, payment) DO UPDATE SET decision = excluded.decision",
        )?
        .execute(params![
            asked.client.0,
            asked.payment,
            asked.payer,
            asked.payee,
            asked.amount.minor(),
            asked.amount.currency().code(),
            word,
            asked.at.as_millis(),
        ])
        .map(|_| ())
}
