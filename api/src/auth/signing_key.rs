//! The installation's own Ed25519 key, in a file that is made once.

use std::path::{Path, PathBuf};
use std::{fs, io};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use docket_schemas::{Role, Tenant, canonical};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::private_file;

/// Characters of base64 on a line of PEM (RFC 7468).
const PEM_LINE_CHARS: usize = 64;

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read or made.
    #[error("cannot read or make the signing key {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} holds no Ed25519 private key in PKCS#8 PEM")]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The random number generator or the signer failed.
    #[error("cannot make or use an Ed25519 key")]
    Crypto,
}

/// Signs tokens.
pub struct SigningKey {
    encoding: EncodingKey,
    public: [u8; 32],
    kid: String,
}

/// The claims of a token that Docket signs.
#[derive(Debug, Clone, Serialize)]
pub struct Claims<'a> {
    /// The issuer.
    pub iss: &'a str,
    /// Always [`super::AUDIENCE`].
    pub aud: &'a str,
    /// Who the bearer is.
    pub sub: &'a str,
    /// When the token ends, in seconds since the Unix epoch.
    pub exp: u64,
    /// Whose data.
    pub tenant: &'a Tenant,
    /// What the bearer may do.
    pub role: Role,
    /// On which device.
    pub device: &'a str,
}

impl SigningKey {
    /// Reads the key at `path`, making it first where there is none. Processes that start at once agree on one key.
    ///
    /// # Errors
    /// When the file can be neither read nor made, or holds something else.
    pub fn open_or_create(path: &Path) -> Result<Self, SigningKeyError> {
        let failed = |source| SigningKeyError::Io { path: path.to_owned(), source };
        let pem = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private_file::create(path, new_pem()?.as_bytes()).map_err(failed)?;
                fs::read(path).map_err(failed)?
            }
            read => read.map_err(failed)?,
        };
        let pem = Zeroizing::new(pem);
        Self::from_pem(&pem).ok_or_else(|| SigningKeyError::Format { path: path.to_owned() })
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        let encoding = EncodingKey::from_ed_der(der.secret_pkcs8_der());
        Some(Self { encoding, public, kid: thumbprint(&public) })
    }

    /// The public half, as a set of one key.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let x = URL_SAFE_NO_PAD.encode(self.public);
        serde_json::json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x},
        ]})
    }

    /// A signed token.
    ///
    /// # Errors
    /// When the signer fails.
    pub fn sign(&self, claims: &Claims<'_>) -> Result<String, SigningKeyError> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|_| SigningKeyError::Crypto)
    }
}

/// The key's name: RFC 7638, SHA-256 over its required members.
fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(canonical::sha256(members.as_bytes()))
}

fn new_pem() -> Result<Zeroizing<String>, SigningKeyError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| SigningKeyError::Crypto)?;
    let der = pair.to_pkcs8v1().map_err(|_| SigningKeyError::Crypto)?;
    let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
    let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
    for line in body.as_bytes().chunks(PEM_LINE_CHARS) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        let directory = crate::testing::TempDir::new();
        let path = directory.path().join("deep/signing-key.pem");
        let kids: Vec<_> = std::thread::scope(|scope| {
            let open = || SigningKey::open_or_create(&path).unwrap().kid;
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
        let file = fs::metadata(&path).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_key_is_named_in_the_error() {
        let directory = crate::testing::TempDir::new();
        let path = directory.path().join("key");
        fs::write(&path, "hello").unwrap();
        let error = SigningKey::open_or_create(&path).err().unwrap();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
