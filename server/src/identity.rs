//! Who is calling, and what they may do.
//!
//! A request carries an [`ApiKey`]; the [`Authenticator`] turns it into a [`Principal`] or refuses. A `Principal` has no
//! other maker, so code that takes one cannot run for somebody who was not authenticated. What a principal may do is a
//! [`PermissionSet`], and [`Principal::authorize`] is the one rule that both listing and calling ask.

mod api_key;
mod authenticator;
mod permission;
mod principal;

pub use api_key::{ApiKey, MalformedKey, Pepper};
pub use authenticator::{AuthError, Authenticator};
pub use permission::{Permission, PermissionDenied, PermissionSet, Role, UnknownName};
pub use principal::Principal;
