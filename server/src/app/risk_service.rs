//! The risk service: the same server around its one tool, over a database of its own.

use std::sync::Arc;

use anyhow::Context as _;

use super::Application;
use crate::{
    config::{ConfigError, RiskServiceConfig},
    risk_service,
    store::sqlite::{SqliteExposures, SqliteStore},
};

impl Application {
    /// The risk service. There are no demo users, and no payments.
    ///
    /// # Errors
    /// [`ConfigError::RiskWithoutServices`]; otherwise as [`Self::build`].
    pub async fn risk_service(config: RiskServiceConfig) -> anyhow::Result<Self> {
        let RiskServiceConfig { server, database, rules } = config;
        let has_certificates = server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if server.issuer.is_none() && !has_certificates {
            return Err(ConfigError::RiskWithoutServices.into());
        }
        let store = Arc::new(SqliteStore::open(&database).await.context("cannot open the database")?);
        let exposures = SqliteExposures::open(Arc::clone(&store)).await?;
        Self::over(server, store, risk_service::identity(), |builder, _| {
            risk_service::register(builder, Arc::new(exposures), rules)
        })
        .await
    }
}
