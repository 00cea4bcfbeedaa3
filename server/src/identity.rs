//! Who is calling, and what they may do.
//!
//! A request carries an [`ApiKey`], a token that a trusted [`Issuer`] signed, or comes over a connection with a client
//! certificate; the [`Authenticator`] turns that into a [`Principal`] or refuses. A `Principal` has no
//! other maker, so code that takes one cannot run for somebody who was not authenticated. What a principal may do is a
//! [`PermissionSet`], and [`Principal::authorize`] is the one rule that both listing and calling ask.

mod api_key;
mod authenticator;
mod certificate;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod issuer;
mod permission;
mod principal;
mod service;
mod signatures;
mod token;

pub use api_key::{ApiKey, MalformedKey, Pepper};
pub use authenticator::{AuthError, Authenticator, InvalidKey, Sender};
pub use issuer::{Issuer, IssuerSettings};
pub use permission::{Permission, PermissionDenied, PermissionSet, Role, UnknownName};
pub use principal::Principal;
pub use service::ServiceName;
