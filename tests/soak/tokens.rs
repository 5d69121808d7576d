//! What callers show: good tokens of every user, signed with the key of the moment, and bad ones.

use crate::now;
use crate::support::peers::{Keys, signing_key};
use crate::support::with;
use crate::truth::{USERS, user_id};
use portvakt::dev::SigningKey;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What a caller shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Badge {
    Good,
    /// A good token without the scope.
    Scopeless,
    Missing,
    Expired,
    /// By a key that nobody has published.
    Foreign,
    /// By such a key under the name of a published one.
    Forged,
    /// Of another user, with the signature of a good token.
    Altered,
}

/// The key of the pool that is never published.
const FOREIGN: usize = 9;

#[derive(Debug)]
pub(crate) struct Tokens(Mutex<Arc<Book>>);

/// The tokens by one key, by the number of their user.
#[derive(Debug)]
pub(crate) struct Book {
    /// The name of the key.
    pub(crate) kid: Arc<str>,
    pub(crate) signed: Instant,
    good: Vec<String>,
    scopeless: Vec<String>,
    expired: String,
    foreign: String,
    forged: String,
}

impl Tokens {
    pub(crate) fn new(keys: &Keys) -> Self {
        Self(Mutex::new(Arc::new(Book::by(keys, "key-0"))))
    }

    pub(crate) fn book(&self) -> Arc<Book> {
        Arc::clone(&self.0.lock().unwrap())
    }

    /// Everybody gets new ones, by the key that is signed with now.
    pub(crate) fn renew(&self, keys: &Keys, kid: &str) {
        let book = Arc::new(Book::by(keys, kid));
        *self.0.lock().unwrap() = book;
    }
}

impl Book {
    fn by(keys: &Keys, kid: &str) -> Self {
        let claims =
            |user| with(keys.claims(), "/authorization_details/0/systemuser_id/0", user_id(user));
        let good = (0..USERS).map(|user| keys.sign(&claims(user)));
        let scopeless = (0..USERS).map(|user| keys.sign(&with(claims(user), "/scope", "it:other")));
        let ended = claims(0)["iat"].as_u64().unwrap() - 100;
        let expired = with(with(claims(0), "/iat", ended - 100), "/exp", ended);
        let stranger = |kid: &str, claims: &Value| -> String {
            let key: SigningKey = signing_key(FOREIGN, kid);
            key.sign(claims).unwrap()
        };
        Self {
            kid: kid.into(),
            signed: now(),
            good: good.collect(),
            scopeless: scopeless.collect(),
            expired: keys.sign(&expired),
            foreign: stranger("nobody's", &claims(0)),
            forged: stranger(kid, &claims(0)),
        }
    }

    pub(crate) fn token(&self, user: usize, badge: Badge) -> Option<String> {
        Some(match badge {
            Badge::Good => self.good[user].clone(),
            Badge::Scopeless => self.scopeless[user].clone(),
            Badge::Missing => return None,
            Badge::Expired => self.expired.clone(),
            Badge::Foreign => self.foreign.clone(),
            Badge::Forged => self.forged.clone(),
            Badge::Altered => {
                let (signed, _) = self.good[user].rsplit_once('.').unwrap();
                let (_, signature) = self.good[(user + 1) % USERS].rsplit_once('.').unwrap();
                format!("{signed}.{signature}")
            }
        })
    }
}
