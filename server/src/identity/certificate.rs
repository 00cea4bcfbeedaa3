//! The name in a client's certificate.
//!
//! TLS has held the certificate against the authority that is trusted before anybody gets here. What is left is whose it
//! is: its one URI name (as SPIFFE has it), or where it has none its one DNS name. A certificate with several is nobody's
//! in particular. The common name is not looked at: it is text for people.

use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

/// The name in a certificate, in DER; `None` where it has not exactly one.
pub(super) fn name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
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
