//! Names to addresses through the system's resolver, as every application of the machine sees them.

use super::detached::detached;
use crate::value::{Reason, Unknown};
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist, or has no address.
    NoSuchName,
    /// The resolver has no answer now: its servers are silent or failing.
    NoAnswer,
    /// The resolver refused for good.
    Refused,
    /// The question could not be asked, or not in time.
    Unknown(Unknown),
}

/// True for a text that can be a host name: letters, digits, `-`, `_` and dots, at most 253 bytes, no label longer than 63.
pub fn is_host_name(name: &str) -> bool {
    let bare = name.strip_suffix('.').unwrap_or(name);
    !bare.is_empty()
        && bare.len() <= 253
        && bare.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// The addresses of a name, without repetitions, in the resolver's order.
pub async fn resolve(name: &str, within: Duration) -> Result<Vec<IpAddr>, Failure> {
    if let Ok(address) = name.parse() {
        // Nobody needs to be asked, and no thread to wait.
        return Ok(vec![address]);
    }
    let asked = name.to_owned();
    let found = detached("the name server", within, move || {
        (asked.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<_>>)
    })
    .await
    .map_err(Failure::Unknown)?;
    match found {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address.ip()) {
                    addresses.push(address.ip());
                }
            }
            if addresses.is_empty() {
                Err(Failure::NoSuchName)
            } else {
                Ok(addresses)
            }
        }
        Err(problem) => Err(classify(&problem.to_string())),
    }
}

/// What the C library's words mean: the standard library keeps the text of `getaddrinfo`'s error, not its number.
fn classify(text: &str) -> Failure {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&[
        "Name or service not known",
        "No address associated with hostname",
        "nodename nor servname",
        "Name does not resolve",
        "Name has no usable address",
    ]) {
        Failure::NoSuchName
    } else if says(&["Temporary failure in name resolution", "Try again"]) {
        Failure::NoAnswer
    } else if says(&["Non-recoverable failure", "Unrecoverable error"]) {
        Failure::Refused
    } else {
        Failure::Unknown(Unknown {
            reason: Reason::Unavailable,
            detail: "the resolver failed".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, classify, is_host_name, resolve};
    use std::time::Duration;

    #[test]
    fn names_that_cannot_be_names_are_refused() {
        for good in [
            "localhost",
            "db-1.example.org",
            "_dmarc.example.org",
            "example.org.",
            "10.0.0.1",
        ] {
            assert!(is_host_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "",
            ".",
            "a..b",
            "-x",
            "a b",
            "a\nb",
            "a;b",
            "bücher.example",
            "a/../b",
            long.as_str(),
        ] {
            assert!(!is_host_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_words_of_the_resolver_are_told_apart() {
        let said = |detail: &str| classify(&format!("failed to lookup address information: {detail}"));
        assert_eq!(said("Name or service not known"), Failure::NoSuchName);
        assert_eq!(said("Temporary failure in name resolution"), Failure::NoAnswer);
        assert_eq!(said("Non-recoverable failure in name resolution"), Failure::Refused);
        assert!(matches!(said("System error"), Failure::Unknown(_)));
    }

    #[tokio::test]
    async fn localhost_has_a_loopback_address() {
        let found = resolve("localhost", Duration::from_secs(10)).await.unwrap();
        assert!(found.iter().all(std::net::IpAddr::is_loopback), "{found:?}");
    }
}
