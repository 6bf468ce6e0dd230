//! One cryptography for every outgoing connection: rustls with ring, and the
//! machine's own root certificates, so that a private authority installed by
//! the administrator is trusted here too.

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// Makes ring the process's provider. May be called any number of times; the
/// HTTP client panics when nobody has called it.
pub fn install_tls_provider() {
    // An error only says that somebody was here before.
    let _ = ring::default_provider().install_default();
}

/// Verifies servers against the machine's roots.
///
/// # Errors
/// The machine has no usable root certificates.
pub fn system_roots() -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_twice_is_fine() {
        install_tls_provider();
        install_tls_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
