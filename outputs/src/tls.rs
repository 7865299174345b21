//! TLS: whom to trust, and who Lanner is.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use crate::output::OutputError;

/// Certificates of an output that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The receiver's certificate is not looked at.
    pub insecure: bool,
    /// Certificates to trust: a file with one or more, or a folder of such files.
    pub trusted: PathBuf,
    /// The certificate that Lanner shows, with those between it and its root, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Reads the files.
pub(crate) fn config(files: &TlsFiles) -> Result<TlsConfig, OutputError> {
    let provider = Arc::new(ring::default_provider());
    let mut builder = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::clone(&provider))
        .disable_verification(files.insecure)
        .root_certs(RootCerts::new_with_certs(&[]));
    if !files.insecure {
        builder = builder.root_certs(RootCerts::new_with_certs(&trusted(&files.trusted)?));
    }
    if let Some((chain_file, key_file)) = &files.client {
        let chain = certificates(chain_file)?;
        let wrong = |path: &Path, cause: String| OutputError::Setting {
            what: path.display().to_string(),
            cause,
        };
        if chain.is_empty() {
            return Err(wrong(chain_file, "there is no certificate in it".into()));
        }
        let key =
            PrivateKey::from_pem(&read(key_file)?).map_err(|error| wrong(key_file, error.to_string()))?;
        check(provider, &chain, &key).map_err(|error| wrong(key_file, error.to_string()))?;
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(builder.build())
}

/// Whether the key is the certificate's: the HTTP client would panic where it is not.
fn check(
    provider: Arc<CryptoProvider>,
    chain: &[Certificate<'static>],
    key: &PrivateKey<'static>,
) -> Result<(), rustls::Error> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let chain = chain
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
        .collect();
    let key =
        PrivateKeyDer::try_from(key.der().to_vec()).map_err(|error| rustls::Error::General(error.into()))?;
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(|_| ())
}

/// Every certificate of a file, or of the files in a folder.
fn trusted(path: &Path) -> Result<Vec<Certificate<'static>>, OutputError> {
    if !path.is_dir() {
        let found = certificates(path)?;
        return match found.is_empty() {
            true => Err(OutputError::Setting {
                what: path.display().to_string(),
                cause: "there is no certificate in it".into(),
            }),
            false => Ok(found),
        };
    }
    let entries = fs::read_dir(path).map_err(|cause| OutputError::Open {
        path: path.to_owned(),
        cause,
    })?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    // The usual folder has every certificate three times: by name, by hash, and in one file of all.
    for file in files.into_iter().filter(|file| file.is_file()) {
        for certificate in certificates(&file).unwrap_or_default() {
            if seen.insert(certificate.der().to_vec()) {
                all.push(certificate);
            }
        }
    }
    Ok(all)
}

/// The certificates of a file; whatever else is in it is left out.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, OutputError> {
    let pem = read(path)?;
    let items = ureq::tls::parse_pem(&pem);
    Ok(items
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect())
}

fn read(path: &Path) -> Result<Vec<u8>, OutputError> {
    fs::read(path).map_err(|cause| OutputError::Open {
        path: path.to_owned(),
        cause,
    })
}
