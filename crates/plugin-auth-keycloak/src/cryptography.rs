//! What jsonwebtoken verifies signatures with: ring, as everything else here that is encrypted.
//!
//! jsonwebtoken's own choices are aws-lc, which wants a C toolchain of its own, and the RustCrypto
//! crates, which take several times as long for an RSA signature.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// Nothing is signed here, and keys come from JWKS alone.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
        rsa_pub_components_from_public_key: |_| Err(ErrorKind::UnsupportedAlgorithm.into()),
        ec_pub_components_from_private_key: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        ed_pub_components_from_private_key: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        compute_digest: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    },
};

/// Makes jsonwebtoken use ring, in this process and for good.
pub(crate) fn install() {
    // The second time it is there already.
    let _ = PROVIDER.install_default();
}

struct Rsa {
    algorithm: Algorithm,
    parameters: &'static RsaParameters,
    key: RsaPublicKeyComponents<Vec<u8>>,
}

struct Curve {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let algorithm = *algorithm;
    match algorithm {
        Algorithm::RS256 => rsa(algorithm, &RSA_PKCS1_2048_8192_SHA256, key),
        Algorithm::RS384 => rsa(algorithm, &RSA_PKCS1_2048_8192_SHA384, key),
        Algorithm::RS512 => rsa(algorithm, &RSA_PKCS1_2048_8192_SHA512, key),
        Algorithm::PS256 => rsa(algorithm, &RSA_PSS_2048_8192_SHA256, key),
        Algorithm::PS384 => rsa(algorithm, &RSA_PSS_2048_8192_SHA384, key),
        Algorithm::PS512 => rsa(algorithm, &RSA_PSS_2048_8192_SHA512, key),
        Algorithm::ES256 => curve(algorithm, &ECDSA_P256_SHA256_FIXED, key),
        Algorithm::ES384 => curve(algorithm, &ECDSA_P384_SHA384_FIXED, key),
        Algorithm::EdDSA => curve(algorithm, &ED25519, key),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

fn rsa(
    algorithm: Algorithm,
    parameters: &'static RsaParameters,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => Ok(Box::new(Rsa {
            algorithm,
            parameters,
            key: RsaPublicKeyComponents {
                n: n.clone(),
                e: e.clone(),
            },
        })),
        DecodingKeyKind::SecretOrDer(_) => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

fn curve(
    algorithm: Algorithm,
    verification: &'static dyn VerificationAlgorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    let point = key.try_get_as_bytes()?.to_vec();
    Ok(Box::new(Curve {
        algorithm,
        key: UnparsedPublicKey::new(verification, point),
    }))
}

impl Verifier<Vec<u8>> for Rsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key
            .verify(self.parameters, message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl Verifier<Vec<u8>> for Curve {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.key
            .verify(message, signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rsa {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl JwtVerifier for Curve {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
