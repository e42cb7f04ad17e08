//! The certificate an agent proves itself with (RFC 8705 section 2): the server keeps its thumbprint
//! alone.

use std::fs;
use std::path::Path;

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ParsedCertificate;

/// `x5t#S256` of the certificate in a file (RFC 8705 section 3.1). Of a chain that is the first one,
/// which is the agent's own (RFC 8446 section 4.4.2).
pub(super) fn thumbprint(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read `{shown}`"))?;
    let certificate = certificate(bytes)
        .with_context(|| format!("`{shown}` holds no certificate, neither as PEM nor as DER"))?;
    Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate)))
}

/// Anything can be hashed, and the thumbprint of a key or of a request would never match.
fn certificate(bytes: Vec<u8>) -> Option<CertificateDer<'static>> {
    let pem = bytes.windows(PEM.len()).any(|window| window == PEM);
    let certificate = if pem {
        CertificateDer::from_pem_slice(&bytes).ok()?
    } else {
        CertificateDer::from(bytes)
    };
    ParsedCertificate::try_from(&certificate).is_ok().then_some(certificate)
}

/// RFC 7468 section 2.
const PEM: &[u8] = b"-----BEGIN ";
