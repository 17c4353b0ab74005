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

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
    use tempfile::TempDir;

    use super::{Claims, Header, PREFIX_LETTERS, Tokens, encode};
    use crate::auth::Caller;
    use crate::core::Credentials;

    /// The options of a signing member and of one that only reads, each with files in a folder.
    fn elliptic(folder: &TempDir, name: &str) -> (String, String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let path = |kind: &str| folder.path().join(format!("{name}.{kind}"));
        std::fs::write(path("key"), key.serialize_pem()).expect("a file");
        std::fs::write(path("pub"), key.public_key_pem()).expect("a file");
        let reads = format!("jwt,sign-method=ES256,pub-key={}", path("pub").display());
        (format!("{reads},priv-key={}", path("key").display()), reads)
    }

    #[test]
    fn a_signed_token_is_read_by_whoever_has_the_public_key_and_by_nobody_else() {
        let folder = TempDir::new().expect("a folder");
        let (signs, reads) = elliptic(&folder, "ours");
        let (_, other) = elliptic(&folder, "theirs");
        let signs = Tokens::new(&signs).expect("good keys");
        let token = signs.sign("alice", 7).expect("a private key").expect("a signed token");
        let alice = Credentials::SignedToken(Caller { user: "alice".into(), revision: 7 });
        let reads = Tokens::new(&reads).expect("a good key");
        assert_eq!(reads.read(&token), alice);
        let other = Tokens::new(&other).expect("a good key");
        assert_eq!(other.read(&token), Credentials::InvalidToken);
        reads.sign("alice", 7).expect_err("there is no private key");
        let mut parts = token.split('.');
        let forged = format!("{}.{}.", parts.next().expect("3"), parts.next().expect("3"));
        for token in [&forged, "", "a.1", &token[1..]] {
            assert_eq!(signs.read(token), Credentials::InvalidToken, "{token}");
        }
    }

    #[test]
    fn a_signed_token_ends_with_its_time() {
        let folder = TempDir::new().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "s").expect("a file");
        let option = |ttl| format!("jwt,sign-method=HS384,priv-key={},ttl={ttl}", secret.display());
        let Tokens::Signed(signer) = Tokens::new(&option("1h")).expect("a good key") else {
            panic!("the tokens are signed");
        };
        let token = signer.sign("alice", 1).expect("a key");
        assert!(signer.verify(&token).is_some());
        let claims = Claims { username: "alice".into(), revision: 1, exp: 1 };
        let private = signer.private.as_ref().expect("a key");
        let ended = encode(&Header::new(signer.algorithm), &claims, private).expect("a token");
        assert_eq!(signer.verify(&ended), None);
    }

    #[test]
    fn simple_tokens_have_sixteen_letters_that_differ() {
        let tokens = Tokens::new("simple").expect("it needs nothing");
        let [one, two] = [(); 2].map(|()| tokens.prefix().expect("random bytes"));
        assert_eq!(one.len(), PREFIX_LETTERS);
        assert!(one.chars().all(|letter| letter.is_ascii_alphabetic()), "{one}");
        assert_ne!(one, two);
        assert_eq!(tokens.sign("alice", 1), Ok(None));
    }

    #[test]
    fn wrong_options_are_told() {
        let folder = TempDir::new().expect("a folder");
        let (ours, _) = elliptic(&folder, "ours");
        elliptic(&folder, "theirs");
        let mismatched = ours.replace("ours.key", "theirs.key");
        let swapped = ours.replace("ours.pub", "ours.key");
        for (option, words) in [
            ("plain", "--auth-token plain: the kinds of tokens are simple and jwt"),
            ("jwt", "sign-method \"\" is none of"),
            ("jwt,sign-method=none", "sign-method \"none\" is none of"),
            ("jwt,sign-method=EdDSA", "sign-method \"EdDSA\" is none of"),
            ("jwt,sign-method=HS256", "HS256 needs priv-key=FILE"),
            ("jwt,sign-method=RS256", "RS256 needs pub-key=FILE"),
            ("jwt,sign-method=RS256,ttl=soon", "ttl soon is no time"),
            ("jwt,colour=red", "colour=red is not of the form"),
            ("jwt,sign-method=RS256,pub-key=/no/such", "cannot read pub-key /no/such"),
            (&mismatched, "pub-key and priv-key do not belong together"),
            (&swapped, "holds no key for ES256"),
        ] {
            let error = Tokens::new(option).err().expect(option).to_string();
            assert!(error.contains(words), "{option}: {error}");
        }
    }
}
