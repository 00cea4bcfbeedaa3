//! The server that the protocol's conformance suite is run against: the engine of the payment server with the tools,
//! resources and prompts that the suite asks for.
//!
//! Reads `PORT` (0 picks one) and serves `/mcp` on loopback. The suite sends no key, so a layer of this example's own
//! presents the demo user's for it; behind that layer everything is as in the product. Prints its URL.

use std::io::Write as _;

use anyhow::Context as _;
use axum::{Router, extract::Request, http::HeaderValue, middleware};
use server::{app::Application, config::Config, mcp::ServerIdentity};
use shared::{demo, headers};

/// What the suite asks for, in files beside this one.
mod conformance_server {
    pub(crate) mod prompts;
    pub(crate) mod resources;
    pub(crate) mod rounds;
    pub(crate) mod tools;
}
use conformance_server::{prompts, resources, rounds, tools};

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let mut config = Config::ephemeral()?;
    config.listen.set_port(port()?);
    let identity = ServerIdentity {
        name: "conformance-server".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instructions: Some("Offers what the conformance suite of the protocol asks for.".to_owned()),
    };
    let application = Application::offering(config, identity, |builder, _store| {
        prompts::register(resources::register(rounds::register(tools::register(builder))))
    })
    .await?
    .wrapped(keyless);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "conformance-server listening on {}", application.url())?;
    stdout.flush()?;
    application
        .run(async {
            // Without signals the process ends when it is killed, as before.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
}

#[expect(clippy::disallowed_methods, reason = "an example has no configuration to read it from")]
fn port() -> anyhow::Result<u16> {
    match std::env::var("PORT") {
        Ok(port) => port.parse().context("PORT must be a number from 0 to 65535, for example PORT=3000"),
        Err(_) => Ok(0),
    }
}

/// Presents the demo user's key for whoever calls.
fn keyless(router: Router) -> Router {
    router.layer(middleware::map_request(async |mut request: Request| {
        request.headers_mut().insert(headers::API_KEY, HeaderValue::from_static(demo::BOB_API_KEY));
        request
    }))
}
