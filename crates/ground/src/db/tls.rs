//! TLS to PostgreSQL, with libpq's meaning of `sslmode` and `sslrootcert`.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Error, Result};

/// The driver's configuration, and how it secures its connections.
pub(super) fn connector(url: &str) -> Result<(tokio_postgres::Config, MakeRustlsConnect)> {
    let unusable = |what: String| Error::Unavailable(format!("DATABASE_URL: {what}"));
    let mut parsed = url::Url::parse(url).map_err(|error| unusable(error.to_string()))?;
    let (mut mode, mut root) = (None, None);
    let mut rest = Vec::new();
    for (name, value) in parsed.query_pairs() {
        match &*name {
            "sslmode" => mode = Some(value.into_owned()),
            "sslrootcert" => root = Some(value.into_owned()),
            _ => rest.push((name.into_owned(), value.into_owned())),
        }
    }
    // The driver knows neither the two verifying modes nor the file.
    parsed.set_query(None);
    if !rest.is_empty() {
        parsed.query_pairs_mut().extend_pairs(rest);
    }
    let mut config: tokio_postgres::Config =
        parsed.as_str().parse().map_err(|error| unusable(format!("{error}")))?;
    let (ssl, check) = match (mode.as_deref(), root.is_some()) {
        (Some("disable"), _) => (SslMode::Disable, Check::Nothing),
        (None | Some("prefer" | "allow"), _) => (SslMode::Prefer, Check::Nothing),
        (Some("require"), false) => (SslMode::Require, Check::Nothing),
        (Some("require" | "verify-ca"), true) => (SslMode::Require, Check::Chain),
        (Some("verify-full"), true) => (SslMode::Require, Check::ChainAndName),
        (Some("verify-ca" | "verify-full"), false) => {
            return Err(unusable("`sslmode` that verifies needs `sslrootcert`".into()));
        }
        (Some(other), _) => return Err(unusable(format!("unknown `sslmode` `{other}`"))),
    };
    config.ssl_mode(ssl).application_name("countersign");
    let tls = MakeRustlsConnect::new(client_config(root.as_deref(), check).map_err(unusable)?);
    Ok((config, tls))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

fn client_config(root: Option<&str>, check: Check) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    if let Some(file) = root {
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| format!("{file}: {error}"))?;
            roots.add(certificate).map_err(|error| format!("{file}: {error}"))?;
        }
    }
    let inner = if roots.is_empty() {
        None
    } else {
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        Some(builder.build().map_err(|error| error.to_string())?)
    };
    let verifier =
        Arc::new(Verifier { inner, check, schemes: provider.signature_verification_algorithms });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// As libpq: `require` encrypts without asking who is there, the verifying modes ask.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    check: Check,
    schemes: rustls::crypto::WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = self.inner.as_ref().filter(|_| self.check != Check::Nothing) else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Chain => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.supported_schemes()
    }
}
