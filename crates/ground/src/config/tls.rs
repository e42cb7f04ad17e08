//! Where HTTPS takes its certificates from.

use std::path::PathBuf;

use super::sources::Values;
use super::{FILE, file};

/// Where HTTPS takes its certificates from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's, PEM.
    pub certificates: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM.
    pub client_authorities: Option<PathBuf>,
}

pub(super) fn tls(values: &mut Values) -> Option<TlsFiles> {
    let certificates = values.optional("TLS_CERT_FILE", FILE, file);
    let key = values.optional("TLS_KEY_FILE", FILE, file);
    let client_authorities = values.optional("TLS_CLIENT_CA_FILE", FILE, file);
    match (certificates, key) {
        (Some(certificates), Some(key)) => Some(TlsFiles { certificates, key, client_authorities }),
        (Some(_), None) => {
            values.fault("TLS_KEY_FILE", "must be given together with TLS_CERT_FILE");
            None
        }
        (None, Some(_)) => {
            values.fault("TLS_CERT_FILE", "must be given together with TLS_KEY_FILE");
            None
        }
        (None, None) => {
            if client_authorities.is_some() {
                values.fault("TLS_CLIENT_CA_FILE", "needs TLS_CERT_FILE and TLS_KEY_FILE");
            }
            None
        }
    }
}
