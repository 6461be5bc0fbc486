//! Operations that no interface text lists: those of a service model, made when they are named.

#[cfg(feature = "aws")]
pub mod aws;

use super::Operation;
use std::sync::Arc;

/// The operation of this path, when a model has it.
pub fn operation(provider: &str, path: &str) -> Option<Arc<Operation>> {
    #[cfg(feature = "aws")]
    if provider == aws::NAME {
        return aws::operation(path);
    }
    let _ = (provider, path);
    None
}

/// True when a model has an operation of this path.
pub fn knows(provider: &str, path: &str) -> bool {
    #[cfg(feature = "aws")]
    if provider == aws::NAME {
        return aws::knows(path);
    }
    let _ = (provider, path);
    false
}

/// Arguments of a look that stand under the same names in what it gives, unchanged.
pub fn echoed(provider: &str, path: &str) -> &'static [&'static str] {
    #[cfg(feature = "aws")]
    if provider == aws::NAME {
        return aws::echoed(path);
    }
    let _ = (provider, path);
    &[]
}

/// What a path that no operation has may have meant: whole paths.
pub fn candidates(provider: &str, path: &str) -> Vec<String> {
    #[cfg(feature = "aws")]
    if provider == aws::NAME {
        return aws::candidates(path);
    }
    let _ = (provider, path);
    Vec::new()
}

/// Why an operation that a model has cannot be called.
pub fn refusal(provider: &str, path: &str) -> Option<String> {
    #[cfg(feature = "aws")]
    if provider == aws::NAME {
        return aws::refusal(path);
    }
    let _ = (provider, path);
    None
}
