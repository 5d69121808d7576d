//! The keys of one issuer at one time: parsed once, immutable, each good for exactly one algorithm
//! (RFC 8725 §3.1). Where keys come from and how long they count is not known here.

use super::Algorithm;
use super::settings::KeyType;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

/// The largest key set read. Bounds memory against a key server gone wrong.
pub const MAX_JWKS_BYTES: usize = 256 * 1024;
/// The most keys in a set. Bounds the work of reading it; issuers publish a handful.
pub const MAX_KEYS: usize = 64;
/// The longest `kid`. Bounds what a caller can make us look up.
pub(super) const MAX_KID_BYTES: usize = 256;
/// RFC 7518 §3.3: RSA keys of 2048 bits or more; beyond 8192 verifying is slow enough to be an attack.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The keys of one issuer, by `kid`.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    // Invariant: the name under which a key is kept is its own, and it was there once in the set.
    keys: HashMap<Arc<str>, Arc<Key>>,
    skipped: Vec<Unusable>,
}

/// One public key, bound to one algorithm.
pub(crate) struct Key {
    kid: Arc<str>,
    algorithm: Algorithm,
    material: Material,
    /// Made of the material once, for the algorithm.
    verifying: ParsedPublicKey,
}

#[derive(PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { x: Vec<u8>, y: Vec<u8> },
}

/// The text is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// Not JSON of the form of RFC 7517 §5, or too large.
    #[error("not a JSON key set of at most {MAX_JWKS_BYTES} bytes")]
    Unreadable,
    /// More keys than an issuer has.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

/// Why a key of a set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusable {
    Unreadable,
    Unnamed,
    NameTwice,
    NotForSignatures,
    KeyType,
    Algorithm,
    Size,
    Private,
}

impl Unusable {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "the key is not one of RFC 7518",
            Self::Unnamed => "the key has no `kid`, or one that is too long",
            Self::NameTwice => "another key has the same `kid`",
            Self::NotForSignatures => "the key is not for verifying signatures",
            Self::KeyType => "the key is of a type that is not used",
            Self::Algorithm => "the key is for an algorithm its issuer does not use",
            Self::Size => "the RSA key is smaller than 2048 bits or larger than 8192",
            Self::Private => "the key is published with its private part",
        }
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// A key as published (RFC 7517 §4). Members not named here, such as `x5c`, are not read.
#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

impl KeyRing {
    /// Reads a key set. A bad key is skipped, not the set; a `kid` that is there twice names none.
    /// Keys that `previous` holds are taken over as they are, so that what they verified still counts.
    pub(crate) fn parse(
        set: &[u8],
        allowed: &[Algorithm],
        previous: Option<&Self>,
    ) -> Result<Self, InvalidKeySet> {
        if set.len() > MAX_JWKS_BYTES {
            return Err(InvalidKeySet::Unreadable);
        }
        let set: KeySet = serde_json::from_slice(set).map_err(|_| InvalidKeySet::Unreadable)?;
        if set.keys.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooManyKeys);
        }
        let mut found: HashMap<Arc<str>, Result<Arc<Key>, Unusable>> = HashMap::new();
        let mut skipped = Vec::new();
        for value in set.keys {
            // The name counts before the key is judged: a bad key beside a good one of its name makes
            // the name as doubtful as two good ones do.
            let name = value.get("kid").and_then(|kid| kid.as_str());
            let Some(kid) = name.filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len())) else {
                skipped.push(Unusable::Unnamed);
                continue;
            };
            match found.entry(Arc::from(kid)) {
                // The name stays blocked however often it comes.
                Entry::Occupied(mut twice) => {
                    skipped.push(Unusable::NameTwice);
                    *twice.get_mut() = Err(Unusable::NameTwice);
                }
                Entry::Vacant(free) => {
                    let key = Key::parse(value, Arc::clone(free.key()), allowed);
                    free.insert(key.map(Arc::new));
                }
            }
        }
        let mut keys = HashMap::with_capacity(found.len());
        for (kid, key) in found {
            match (key, previous.and_then(|ring| ring.key(&kid))) {
                (Ok(key), Some(old)) if **old == *key => keys.insert(kid, Arc::clone(old)),
                (Ok(key), _) => keys.insert(kid, key),
                (Err(unusable), _) => {
                    skipped.push(unusable);
                    None
                }
            };
        }
        Ok(Self { keys, skipped })
    }

    /// The key of this name.
    pub(crate) fn key(&self, kid: &str) -> Option<&Arc<Key>> {
        self.keys.get(kid)
    }

    /// Whether this very key is in the ring, not merely one of its name.
    pub(crate) fn holds(&self, key: &Arc<Key>) -> bool {
        self.keys.get(&key.kid).is_some_and(|present| Arc::ptr_eq(present, key))
    }

    /// How many keys can be used.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Why each of those that were published and cannot be used is not.
    pub(crate) fn skip_reasons(&self) -> impl Iterator<Item = &'static str> {
        self.skipped.iter().map(|unusable| unusable.as_str())
    }
}

impl Key {
    /// The one algorithm it verifies.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it made this signature over these bytes.
    pub(crate) fn verifies(&self, signing_input: &str, signature: &[u8]) -> bool {
        self.verifying.verify_sig(signing_input.as_bytes(), signature).is_ok()
    }

    fn parse(
        value: serde_json::Value,
        kid: Arc<str>,
        allowed: &[Algorithm],
    ) -> Result<Self, Unusable> {
        let published: PublishedKey =
            serde_json::from_value(value).map_err(|_| Unusable::Unreadable)?;
        // Whoever publishes a private key has let others sign with it.
        if published.d.is_some() {
            return Err(Unusable::Private);
        }
        let signs = published.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && published
                .key_ops
                .as_deref()
                .is_none_or(|operations| operations.iter().any(|word| word == "verify"));
        if !signs {
            return Err(Unusable::NotForSignatures);
        }
        let key_type = match (published.kty.as_str(), published.crv.as_deref()) {
            ("RSA", _) => KeyType::Rsa,
            ("EC", Some("P-256")) => KeyType::EcP256,
            ("EC", Some("P-384")) => KeyType::EcP384,
            _ => return Err(Unusable::KeyType),
        };
        let algorithm = bind(published.alg.as_deref(), key_type, allowed)?;
        let (material, verifying) = match algorithm {
            Algorithm::Rs256 => rsa(&published, &RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => rsa(&published, &RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => rsa(&published, &RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => rsa(&published, &RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => rsa(&published, &RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => rsa(&published, &RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => ec(&published, &ECDSA_P256_SHA256_FIXED, 32),
            Algorithm::Es384 => ec(&published, &ECDSA_P384_SHA384_FIXED, 48),
        }?;
        Ok(Self { kid, algorithm, material, verifying })
    }
}

/// The one algorithm of a key: the one it states, or the issuer's first for its type. Never the one a
/// token asks for.
fn bind(
    stated: Option<&str>,
    key_type: KeyType,
    allowed: &[Algorithm],
) -> Result<Algorithm, Unusable> {
    let mut fitting = allowed.iter().copied().filter(|algorithm| algorithm.key_type() == key_type);
    match stated {
        None => fitting.next(),
        Some(word) => fitting.find(|algorithm| algorithm.as_str() == word),
    }
    .ok_or(Unusable::Algorithm)
}

fn rsa(
    published: &PublishedKey,
    form: &'static RsaParameters,
) -> Result<(Material, ParsedPublicKey), Unusable> {
    let modulus = number(published.n.as_deref())?;
    let exponent = number(published.e.as_deref())?;
    let Some(first) = modulus.first() else { return Err(Unusable::Unreadable) };
    let unused_bits = usize::try_from(first.leading_zeros()).unwrap_or(usize::MAX);
    let bits = modulus.len().saturating_mul(8).saturating_sub(unused_bits);
    if !RSA_BITS.contains(&bits) {
        return Err(Unusable::Size);
    }
    let verifying = RsaPublicKeyComponents { n: &modulus, e: &exponent }
        .to_parsed_public_key(form)
        .map_err(|_| Unusable::Unreadable)?;
    Ok((Material::Rsa { modulus, exponent }, verifying))
}

/// `width` is the octets of a coordinate (RFC 7518 §6.2.1.2). A point that is not on the curve is none.
fn ec(
    published: &PublishedKey,
    form: &'static EcdsaVerificationAlgorithm,
    width: usize,
) -> Result<(Material, ParsedPublicKey), Unusable> {
    let coordinate = |text: Option<&str>| {
        let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
        (bytes.len() == width).then_some(bytes)
    };
    let (Some(x), Some(y)) =
        (coordinate(published.x.as_deref()), coordinate(published.y.as_deref()))
    else {
        return Err(Unusable::Unreadable);
    };
    // The uncompressed form (SEC 1 §2.3.3).
    let point = [&[4][..], &x, &y].concat();
    let verifying = ParsedPublicKey::new(form, point).map_err(|_| Unusable::Unreadable)?;
    Ok((Material::Ec { x, y }, verifying))
}

/// A number as RFC 7518 §2 writes it; zeros in front, which some issuers add, do not change it.
fn number(text: Option<&str>) -> Result<Vec<u8>, Unusable> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text.ok_or(Unusable::Unreadable)?)
        .map_err(|_| Unusable::Unreadable)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

impl PartialEq for Key {
    /// The same name, algorithm and material; what verifies follows from them.
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.material == other.material
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {:?}", self.algorithm, self.kid)
    }
}
