//! Certificate and key from their files.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::config::{GatewayError, Tls};

/// What is spoken over TLS.
const HTTP_1: &[u8] = b"http/1.1";

pub(super) async fn acceptor(tls: &Tls) -> Result<TlsAcceptor, GatewayError> {
    let tls = tls.clone();
    deadelus_mesh::blocking(move || read(&tls)).await
}

fn read(tls: &Tls) -> Result<TlsAcceptor, GatewayError> {
    let certificates = CertificateDer::pem_file_iter(&tls.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(bad("a certificate", &tls.cert_file))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key_file).map_err(bad("a key", &tls.key_file))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(bad("a certificate with its key", &tls.cert_file))?;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn bad<E>(what: &'static str, path: &Path) -> impl FnOnce(E) -> GatewayError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let path = path.to_owned();
    move |source| GatewayError::Tls { what, path, source: source.into() }
}
