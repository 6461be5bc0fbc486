//! What several tests need.

pub mod daemon;
pub mod desk;
pub mod gated;
pub mod postgres;
pub mod samples;
pub mod terminal;

/// What the doctor of a provider says of a lock, and whether it is good.
pub async fn doctor_of_lock(
    provider: &dyn starr::provider::Provider,
) -> Option<(starr::provider::HealthState, String)> {
    let all = provider.doctor().await;
    let found = all
        .into_iter()
        .find(|health| health.subject.ends_with(" lock") || health.subject.ends_with(" locks"));
    found.map(|health| (health.state, health.detail))
}

/// Copies a program that is to be run. Another process does it: what this one has open for writing is inherited by every child that another test
/// starts in that instant, and a file that anybody has open for writing cannot be run.
pub fn copy_program(from: &std::path::Path, to: &std::path::Path) {
    let done = std::process::Command::new("cp")
        .arg("--")
        .args([from, to])
        .status()
        .unwrap();
    assert!(done.success(), "cp {} {}: {done}", from.display(), to.display());
}
