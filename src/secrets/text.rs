//! A secret outside a run: no `Debug` that tells, no `Display`, no `Serialize`; overwritten when it is dropped.

use std::fmt;
use zeroize::Zeroizing;

/// The text of a secret. Only a provider's own sink may [`SecretText::expose`] it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text over; the buffer it came in is overwritten when this is dropped.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for a credential slot, a header, a bound parameter or a child's standard input.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretText;

    #[test]
    fn it_shows_nothing() {
        let secret = SecretText::new("swordfish".to_owned());
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).find("sword"), None);
        assert_eq!(secret.expose(), "swordfish");
    }
}
