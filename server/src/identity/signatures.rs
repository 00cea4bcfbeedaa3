//! The cryptography under tokens: `jsonwebtoken` reads and checks them, `ring` does the arithmetic, as it does for TLS.
//!
//! Two algorithms are known, Ed25519 and ECDSA on P-256 with SHA-256. There is nothing else that a token could talk the
//! server into: no symmetric algorithm, no RSA, and no `none`.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error, Verifier},
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err::<Box<dyn JwtSigner>, _>(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes `jsonwebtoken` use what is here. To be called before a token is read; more than once does no harm.
pub(super) fn install() {
    // Where another provider was installed first, it is the one of this very function.
    let _ = PROVIDER.install_default();
}

/// One public key, for one algorithm.
struct PublicKey {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let (family, how): (_, &'static dyn VerificationAlgorithm) = match algorithm {
        Algorithm::EdDSA => (AlgorithmFamily::Ed, &ED25519),
        Algorithm::ES256 => (AlgorithmFamily::Ec, &ECDSA_P256_SHA256_FIXED),
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    if key.family() != family {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let key = UnparsedPublicKey::new(how, key.try_get_as_bytes()?.to_vec());
    Ok(Box::new(PublicKey { algorithm: *algorithm, key }))
}

impl Verifier<Vec<u8>> for PublicKey {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.key.verify(message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for PublicKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
