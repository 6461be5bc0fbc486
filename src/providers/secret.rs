//! Where providers take their secrets from: [`crate::secrets`]; and how those among them that keep secrets hand them out.

pub use crate::secrets::SecretSource;
use std::fmt::Display;

/// A secret from beyond this machine, fetched on a thread and a runtime of their own: whoever needs it may be inside a runtime, which cannot
/// wait for itself. `fetch` says what went wrong without the secret's name.
///
/// # Errors
/// Names the secret and what went wrong.
#[cfg(any(feature = "kubernetes", feature = "azure", feature = "aws"))]
pub fn fetched<T: Send, F: Future<Output = Result<T, String>>>(
    wanted: &(impl Display + Sync),
    fetch: impl FnOnce() -> F + Send,
) -> Result<T, String> {
    let fetched = std::thread::scope(|scope| {
        let own = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|problem| problem.to_string())?.block_on(fetch())
        });
        own.join()
    });
    let found = fetched.unwrap_or_else(|_| Err("a mistake in starr".to_owned()));
    found.map_err(|why| format!("{wanted} cannot be read: {why}"))
}
