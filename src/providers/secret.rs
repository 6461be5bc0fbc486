//! Where providers take their secrets from: [`crate::secrets`].

pub use crate::secrets::SecretSource;
