//! TLS, ended here: the server's certificate, and whose certificates clients may present.
//!
//! A client needs no certificate; one that it presents must come from the authority that is trusted and be in its time,
//! or the handshake fails, which is a whole one each time. Everything is read from files, and again when it is asked for,
//! without a connection being dropped: those that are open go on with what they began with.

use std::{fmt, path::PathBuf, sync::Arc};

use parking_lot::RwLock;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
};
use tokio_rustls::TlsAcceptor;

/// Where the certificates are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The server's certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of clients' certificates; without them clients present none.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS cannot be spoken with these files. The message names the setting.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or holds something else.
    #[error("{setting} must name a file with {content} in PEM")]
    File {
        /// The setting.
        setting: &'static str,
        /// What should be in the file.
        content: &'static str,
        /// What is wrong.
        #[source]
        source: pem::Error,
    },
    /// The certificate and the key do not belong together, or are of a kind that is not known.
    #[error("TLS_CERT and TLS_KEY must belong together")]
    Pair(#[source] rustls::Error),
    /// The roots cannot be used.
    #[error("CLIENT_CA must name a file with certificates of authorities")]
    Roots(#[source] VerifierBuilderError),
}

/// TLS as it is spoken now. Clones share it.
#[derive(Clone)]
pub struct Tls {
    settings: TlsSettings,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(read(&settings)?));
        Ok(Self { settings, current })
    }

    /// Reads the files again; connections from now on get what is in them.
    ///
    /// # Errors
    /// [`TlsError`]; then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.settings)?;
        *self.current.write() = fresh;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read()))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn read(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&settings.certificate, "TLS_CERT")?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|source| TlsError::File {
        setting: "TLS_KEY",
        content: "a private key",
        source,
    })?;
    // Both versions that are safe are in the provider.
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Pair)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path, "CLIENT_CA")? {
                roots.add(root).map_err(TlsError::Pair)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = verifier.allow_unauthenticated().build().map_err(TlsError::Roots)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    if settings.client_ca.is_some() {
        // A resumed session brings its client's certificate along without anybody holding it against the roots and the
        // time again, and gets a ticket for the next one: each connection begins with a whole handshake.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &PathBuf, setting: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { setting, content: "a certificate", source };
    let all: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(failed)?;
    if all.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(all) }
}

/// What the audit calls a handshake that failed because of who the client is, or says it is. One that failed because
/// somebody spoke something else than TLS is not worth a record.
pub(super) fn rule_of(error: &std::io::Error) -> Option<&'static str> {
    use rustls::{CertificateError, Error};
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some("certificate: expired")
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Some("certificate: not yet"),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some("certificate: unknown issuer"),
        Error::InvalidCertificate(_) => Some("certificate: invalid"),
        _ => None,
    }
}
