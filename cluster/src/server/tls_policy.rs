//! Which versions of TLS are spoken, and with which cipher suites.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{CipherSuite, SupportedProtocolVersion};

use super::tls::TlsError;

/// The flags; without any of them all that is sound is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsPolicy {
    /// `--tls-min-version`: `TLS1.2` or `TLS1.3`.
    pub least: Option<String>,
    /// `--tls-max-version`.
    pub greatest: Option<String>,
    /// `--cipher-suites`, by their names in the registry; those of TLS 1.3 are always there.
    pub suites: Vec<String>,
}

impl TlsPolicy {
    /// The versions between the least and the greatest.
    ///
    /// # Errors
    /// One that does not exist, or none in between.
    pub(super) fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
        let all = [("TLS1.2", &TLS12), ("TLS1.3", &TLS13)];
        let place = |given: &Option<String>, default: usize| match given.as_deref() {
            None | Some("") => Ok(default),
            Some(name) => all
                .iter()
                .position(|(known, _)| *known == name)
                .ok_or_else(|| TlsError::Version(format!("{name} is neither TLS1.2 nor TLS1.3"))),
        };
        let (least, greatest) = (place(&self.least, 0)?, place(&self.greatest, all.len() - 1)?);
        match all.get(least..=greatest) {
            Some(between) if least <= greatest => {
                Ok(between.iter().map(|(_, version)| *version).collect())
            }
            _ => Err(TlsError::Version("the least is above the greatest".into())),
        }
    }

    /// The cryptography with the suites that are wanted.
    ///
    /// # Errors
    /// A suite that is not there.
    pub(super) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let mut provider = ring::default_provider();
        if self.suites.is_empty() {
            return Ok(Arc::new(provider));
        }
        let name = |suite: CipherSuite| suite.as_str().unwrap_or_default().to_owned();
        let known: Vec<String> =
            provider.cipher_suites.iter().map(|suite| name(suite.suite())).collect();
        for wanted in &self.suites {
            if !known.contains(wanted) {
                let what = format!("{wanted} is not there; there are: {}", known.join(", "));
                return Err(TlsError::Suites(what));
            }
        }
        provider.cipher_suites.retain(|suite| {
            suite.version() == &TLS13 || self.suites.contains(&name(suite.suite()))
        });
        Ok(Arc::new(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::TlsPolicy;

    #[test]
    fn versions_lie_between_the_least_and_the_greatest() {
        for (least, greatest, expected) in [
            (None, None, Ok(2)),
            (Some("TLS1.2"), Some(""), Ok(2)),
            (Some("TLS1.3"), None, Ok(1)),
            (None, Some("TLS1.2"), Ok(1)),
            (Some("TLS1.3"), Some("TLS1.2"), Err("the least is above the greatest")),
            (Some("TLS1.1"), None, Err("TLS1.1 is neither")),
        ] {
            let (least, greatest) = (least.map(str::to_owned), greatest.map(str::to_owned));
            let policy = TlsPolicy { least, greatest, suites: Vec::new() };
            match (policy.versions(), expected) {
                (Ok(versions), Ok(count)) => assert_eq!(versions.len(), count, "{policy:?}"),
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{error}");
                }
                (found, _) => panic!("{policy:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_suite_that_is_wanted_is_there_and_one_that_is_not_known_is_told() {
        let with = |suite: &str| TlsPolicy { suites: vec![suite.into()], ..TlsPolicy::default() };
        let one = with("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").provider().expect("it is known");
        let of_12 = one.cipher_suites.iter().filter(|suite| suite.tls13().is_none());
        assert_eq!(of_12.count(), 1);
        let error = with("TLS_RSA_WITH_RC4_128_SHA").provider().expect_err("it is not sound");
        assert!(error.to_string().starts_with("--cipher-suites: TLS_RSA_WITH_RC4_128_SHA is not"));
    }
}
