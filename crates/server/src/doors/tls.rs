//! HTTPS, and client certificates as a caller's proof (RFC 8705).
//!
//! The files are read again when they change: a certificate is renewed without a restart, and one
//! that can't be used leaves the old one in force.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_ground::config::{Fault, TlsFiles};
use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::law::directory::Thumbprint;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What HTTPS is served with.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    seen: Mutex<Vec<Option<SystemTime>>>,
}

/// The files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not readable, or not PEM of what it should be.
    #[error("{0}: `{1}`: {2}")]
    File(&'static str, std::path::PathBuf, String),
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("TLS_CERT_FILE, TLS_KEY_FILE: {0}")]
    Pair(rustls::Error),
    /// Nobody can be verified by it.
    #[error("TLS_CLIENT_CA_FILE: {0}")]
    Authorities(String),
}

impl TlsError {
    /// The same as a fault of the configuration.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let text = self.to_string();
        let (name, what) = text.split_once(": ").unwrap_or(("TLS_CERT_FILE", &text));
        Fault::new(name, what)
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they can't be used.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = Mutex::new(stamps(&files));
        let config = ArcSwap::from_pointee(config(&files)?);
        Ok(Self { files, config, seen })
    }

    /// Reads the files again if one has changed; true when it has.
    ///
    /// # Errors
    /// When they can't be used: what was in force stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return Ok(false);
        }
        *seen = now;
        self.config.store(Arc::new(config(&self.files)?));
        Ok(true)
    }

    /// Shakes hands; gives the stream, and the client's certificate if it proved to own one.
    ///
    /// # Errors
    /// When the client does not, or not in time.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<Thumbprint>)> {
        let accepting = TlsAcceptor::from(self.config.load_full()).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE, accepting).await??;
        let certificates = stream.get_ref().1.peer_certificates();
        let certificate = certificates.and_then(<[_]>::first).map(thumbprint);
        Ok((stream, certificate))
    }
}

/// Of the certificate that a gateway's client has proved to own, as the gateway hands it on: in PEM with URL escapes
/// (nginx, Envoy), as DER in Base64 (Caddy; Traefik, the first of several), or as a byte sequence (RFC 9440).
#[must_use]
pub fn certificate_handed_on(text: &str) -> Option<Thumbprint> {
    let text: Vec<u8> = percent_decode_str(text.trim()).collect();
    if text.starts_with(b"-----BEGIN") {
        return CertificateDer::from_pem_slice(&text).ok().as_ref().map(thumbprint);
    }
    let text = str::from_utf8(&text).ok()?;
    let first = text.split(',').next().unwrap_or_default().trim();
    let first = first.strip_prefix(':').and_then(|text| text.strip_suffix(':')).unwrap_or(first);
    let der = STANDARD.decode(first).ok()?;
    // It is no more than compared: one that is none has been registered by nobody.
    (!der.is_empty()).then(|| thumbprint(&CertificateDer::from(der)))
}

/// SHA-256 of the DER (RFC 8705 section 3.1).
fn thumbprint(certificate: &CertificateDer<'_>) -> Thumbprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
    bytes
}

fn config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let certificates = certificates("TLS_CERT_FILE", &files.certificates)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::File("TLS_KEY_FILE", files.key.clone(), error.to_string()))?;
    let builder = ServerConfig::builder();
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in self::certificates("TLS_CLIENT_CA_FILE", file)? {
                let unusable = |error: rustls::Error| TlsError::Authorities(error.to_string());
                roots.add(authority).map_err(unusable)?;
            }
            // Other ways to prove oneself remain: whoever has no certificate may still connect.
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::Authorities(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(
    variable: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |what: String| TlsError::File(variable, file.to_owned(), what);
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("it holds no certificate".into())) } else { Ok(found) }
}

fn stamps(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let all = [Some(&files.certificates), Some(&files.key), files.client_authorities.as_ref()];
    let modified = |file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    all.into_iter().flatten().map(modified).collect()
}
