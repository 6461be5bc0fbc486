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
