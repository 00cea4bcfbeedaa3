//! The name in a client's certificate.
//!
//! TLS has held the certificate against the authority that is trusted before anybody gets here, once, when the connection
//! began. A connection may outlive its certificate, so the time is looked at again for each request. What is left is whose
//! it is: its one URI name (as SPIFFE has it), or where it has none its one DNS name. A certificate with several is
//! nobody's in particular. The common name is not looked at: it is text for people.

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use crate::clock::UnixMillis;

/// Why a certificate whose time is over is refused.
pub(super) const EXPIRED: &str = "certificate: expired";

/// The one name in a certificate, in DER, that holds `now`, and until when it does.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn name(der: &[u8], now: UnixMillis) -> Result<(String, UnixMillis), &'static str> {
    let certificate = in_time(der, now)?;
    let name = one_name(&certificate).ok_or("certificate: no one name")?;
    Ok((name, until(&certificate)))
}

/// Until when a certificate holds: to the end of its last second.
pub(super) fn until(certificate: &X509Certificate<'_>) -> UnixMillis {
    let last = certificate.validity().not_after.timestamp();
    UnixMillis::from_millis(last.saturating_add(1).saturating_mul(1_000))
}

/// A certificate, in DER, that holds `now`.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn in_time(der: &[u8], now: UnixMillis) -> Result<X509Certificate<'_>, &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "certificate: malformed")?;
    let (validity, now) = (certificate.validity(), now.as_millis().div_euclid(1_000));
    if now > validity.not_after.timestamp() {
        Err(EXPIRED)
    } else if now < validity.not_before.timestamp() {
        Err("certificate: not yet")
    } else {
        Ok(certificate)
    }
}

fn one_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok()??;
    let (mut uris, mut hosts) = (Vec::new(), Vec::new());
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::DNSName(host) => hosts.push(*host),
            _ => {}
        }
    }
    match (uris.as_slice(), hosts.as_slice()) {
        ([one], _) | ([], [one]) => Some((*one).to_owned()),
        _ => None,
    }
}
