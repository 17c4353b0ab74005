//! What a token is: `--auth-token simple`, or `--auth-token jwt,…`.
//!
//! A simple token is a random word that every member remembers (see the core). A JSON Web Token
//! says itself whose it is and as of which auth revision, and is believed for its signature; as it
//! names the revision, it is void after any change of users, roles or permissions.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::auth::Caller;
use crate::core::Credentials;

/// Letters of a simple token, as in etcd.
const PREFIX_LETTERS: usize = 16;

/// A signed token lives so long if nothing else is said, as in etcd.
const SIGNED_TTL: Duration = Duration::from_secs(300);

/// Makes tokens and reads them.
pub(super) enum Tokens {
    Simple,
    Signed(Box<Signer>),
}

/// The keys of signed tokens.
pub(super) struct Signer {
    algorithm: Algorithm,
    ttl: Duration,
    /// A member without the private key reads tokens, and makes none.
    private: Option<EncodingKey>,
    public: DecodingKey,
}

/// What a signed token says; the names are etcd's.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    username: String,
    revision: u64,
    /// In seconds since 1970.
    exp: u64,
}

/// What is wrong with `--auth-token`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Neither of the two kinds.
    #[error("--auth-token {0}: the kinds of tokens are simple and jwt")]
    Kind(String),
    /// An option that does not exist or has no value.
    #[error(
        "--auth-token: {0} is not of the form NAME=VALUE with one of the names pub-key, priv-key, \
         sign-method and ttl"
    )]
    Option(String),
    /// An algorithm that does not exist, or none.
    #[error(
        "--auth-token: sign-method {0:?} is none of HS256, HS384, HS512, RS256, RS384, RS512, \
         PS256, PS384, PS512, ES256 and ES384"
    )]
    Method(String),
    /// A time to live that is none.
    #[error("--auth-token: ttl {0} is no time like 30s, 10m or 1h")]
    Ttl(String),
    /// A key that the algorithm needs.
    #[error("--auth-token: {method:?} needs {option}=FILE")]
    Missing {
        /// The algorithm.
        method: Algorithm,
        /// The option that is not there.
        option: &'static str,
    },
    /// A file that cannot be read.
    #[error("--auth-token: cannot read {option} {path}: {what}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
    /// A file that holds no such key.
    #[error("--auth-token: {path} holds no key for {method:?}: {what}")]
    Key {
        /// The algorithm.
        method: Algorithm,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// What the one signs the other does not believe.
    #[error("--auth-token: pub-key and priv-key do not belong together")]
    Mismatch,
}

impl Tokens {
    /// Reads `--auth-token` and the files that it names.
    ///
    /// # Errors
    /// As [`TokenError`] says.
    pub fn new(option: &str) -> Result<Self, TokenError> {
        match option.split_once(',') {
            None if option == "simple" => Ok(Self::Simple),
            None if option == "jwt" => Err(TokenError::Method(String::new())),
            Some(("jwt", options)) => Ok(Self::Signed(Box::new(Signer::new(options)?))),
            _ => Err(TokenError::Kind(option.to_owned())),
        }
    }

    /// The random part of the next simple token; empty if tokens are signed.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn prefix(&self) -> Result<String, String> {
        if let Self::Signed(_) = self {
            return Ok(String::new());
        }
        let mut bytes = [0; PREFIX_LETTERS];
        SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
        let letter = |byte: u8| {
            let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
            char::from(letters[usize::from(byte) % letters.len()])
        };
        Ok(bytes.into_iter().map(letter).collect())
    }

    /// What a token that came with a request shows.
    pub fn read(&self, token: &str) -> Credentials {
        match self {
            Self::Simple => Credentials::SimpleToken(token.to_owned()),
            Self::Signed(signer) => match signer.verify(token) {
                Some(caller) => Credentials::SignedToken(caller),
                None => Credentials::InvalidToken,
            },
        }
    }

    /// Signs a token, if tokens are signed.
    ///
    /// # Errors
    /// Says why it cannot.
    pub fn sign(&self, user: &str, revision: u64) -> Result<Option<String>, String> {
        match self {
            Self::Simple => Ok(None),
            Self::Signed(signer) => signer.sign(user, revision).map(Some),
        }
    }
}

impl Signer {
    fn new(options: &str) -> Result<Self, TokenError> {
        let (mut public, mut private) = (None, None);
        let (mut method, mut ttl) = (String::new(), SIGNED_TTL);
        for option in options.split(',') {
            match option.split_once('=') {
                Some(("pub-key", path)) => public = Some(PathBuf::from(path)),
                Some(("priv-key", path)) => private = Some(PathBuf::from(path)),
                Some(("sign-method", name)) => method = name.to_owned(),
                Some(("ttl", time)) => ttl = duration(time)?,
                _ => return Err(TokenError::Option(option.to_owned())),
            }
        }
        let algorithm = method.parse().ok().filter(|algorithm| *algorithm != Algorithm::EdDSA);
        let algorithm = algorithm.ok_or(TokenError::Method(method))?;
        let (private, public) = keys(algorithm, private.as_deref(), public.as_deref())?;
        let signer = Self { algorithm, ttl, private, public };
        signer.check()?;
        Ok(signer)
    }

    /// Finds out now, and not at the first request, whether the keys belong together.
    fn check(&self) -> Result<(), TokenError> {
        if self.private.is_none() {
            return Ok(());
        }
        let token = self.sign("", 1).map_err(|_| TokenError::Mismatch)?;
        self.verify(&token).map(drop).ok_or(TokenError::Mismatch)
    }

    fn sign(&self, user: &str, revision: u64) -> Result<String, String> {
        let private = self.private.as_ref().ok_or("there is no priv-key to sign a token with")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let exp = (now + self.ttl).as_secs();
        let claims = Claims { username: user.to_owned(), revision, exp };
        encode(&Header::new(self.algorithm), &claims, private).map_err(|error| error.to_string())
    }

    fn verify(&self, token: &str) -> Option<Caller> {
        let mut validation = Validation::new(self.algorithm);
        validation.leeway = 0;
        let Claims { username, revision, .. } =
            decode::<Claims>(token, &self.public, &validation).ok()?.claims;
        Some(Caller { user: username, revision })
    }
}

fn keys(
    method: Algorithm,
    private: Option<&Path>,
    public: Option<&Path>,
) -> Result<(Option<EncodingKey>, DecodingKey), TokenError> {
    let bad = |path: &Path, error: jsonwebtoken::errors::Error| TokenError::Key {
        method,
        path: path.to_owned(),
        what: error.to_string(),
    };
    if let Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 = method {
        // One secret does both.
        let path = private.ok_or(TokenError::Missing { method, option: "priv-key" })?;
        let secret = read("priv-key", path)?;
        return Ok((Some(EncodingKey::from_secret(&secret)), DecodingKey::from_secret(&secret)));
    }
    let elliptic = matches!(method, Algorithm::ES256 | Algorithm::ES384);
    let path = public.ok_or(TokenError::Missing { method, option: "pub-key" })?;
    let pem = read("pub-key", path)?;
    let decoding =
        if elliptic { DecodingKey::from_ec_pem(&pem) } else { DecodingKey::from_rsa_pem(&pem) };
    let decoding = decoding.map_err(|error| bad(path, error))?;
    let Some(path) = private else { return Ok((None, decoding)) };
    let pem = read("priv-key", path)?;
    let encoding =
        if elliptic { EncodingKey::from_ec_pem(&pem) } else { EncodingKey::from_rsa_pem(&pem) };
    Ok((Some(encoding.map_err(|error| bad(path, error))?), decoding))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TokenError> {
    std::fs::read(path).map_err(|error| TokenError::File {
        option,
        path: path.to_owned(),
        what: error.to_string(),
    })
}

fn duration(time: &str) -> Result<Duration, TokenError> {
    let wrong = || TokenError::Ttl(time.to_owned());
    let unit = time.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = time[..unit].parse().map_err(|_| wrong())?;
    let millis = match &time[unit..] {
        "ms" => number,
        "s" => number.saturating_mul(1_000),
        "m" => number.saturating_mul(60_000),
        "h" => number.saturating_mul(3_600_000),
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(millis))
}
