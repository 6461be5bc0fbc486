//! What the process does so that its own mistakes tell no secrets.

use super::output::complain;
use crate::secrets::redact;

/// A panic is a mistake of ours: it is said as one, without secrets, and without the values that led to it.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic
            .payload()
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        let place = panic
            .location()
            .map(|at| format!(" at {}:{}", at.file(), at.line()))
            .unwrap_or_default();
        complain(&redact(&format!(
            "starr: a mistake in starr {}{place}: {message}",
            env!("CARGO_PKG_VERSION")
        )));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            complain(&std::backtrace::Backtrace::force_capture().to_string());
        }
    }));
}

/// A panic on order, with a text of the test's choice, after everything was read. Exists in debug builds only.
pub fn forced_panic() {
    #[cfg(debug_assertions)]
    if let Ok(text) = std::env::var("STARR_DEBUG_PANIC") {
        panic!("{text}");
    }
}

/// Nobody who is not root may read this process's memory, and it leaves no image of it behind when it crashes.
pub fn memory() {
    // Debug builds stay open to debuggers. Best effort: an old kernel that refuses leaves things as they were.
    if !cfg!(debug_assertions) {
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        let none = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
}
