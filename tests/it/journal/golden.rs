//! Journals and exports of earlier versions: they verify for ever, through both verifiers.

use super::second;
use starr::journal::policy::Policy;
use starr::journal::sqlite::Store;
use starr::journal::{export, judge};
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[tokio::test]
async fn journals_and_exports_of_earlier_versions_verify() {
    for (name, policy, summary, root) in [
        (
            "journal-1.sqlite",
            None,
            "intact",
            "15042a1a6ccff71b32d2516b5efb2046dd303b4d89f52f2e3207b1a7de22a633",
        ),
        (
            "journal-2.sqlite",
            Some("golden.policy"),
            "witnessed (1 of 1, 12)",
            ROOT,
        ),
        ("export-1.jsonl", Some("golden.policy"), "witnessed (1 of 1, 12)", ROOT),
    ] {
        // A copy: a database is opened with files beside it.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::copy(golden(name), &path).unwrap();
        let policy_path = policy.map_or_else(|| folder.path().join("none"), golden);
        if policy.is_none() {
            std::fs::write(&policy_path, "").unwrap();
        }
        let policy = Policy::parse(&std::fs::read_to_string(&policy_path).unwrap()).unwrap();
        let trust = judge::trust(&policy).await;
        let verified = if name.ends_with("jsonl") {
            export::verify(&mut std::fs::read(&path).unwrap().as_slice(), trust).unwrap()
        } else {
            Store::read(&path).await.unwrap().verify_with(trust).await.unwrap()
        };
        assert_eq!(
            (verified.summary().as_str(), verified.root.as_str()),
            (summary, root),
            "{name}: {verified}"
        );
        assert_eq!(policy.demand.missing(&verified), None);
        second::agree(
            &verified,
            policy.demand,
            &second::verify(&[path], &policy_path)[0],
            name,
        );
    }
}

/// The root of the log in `tests/golden`.
pub const ROOT: &str = "a750116c505abeae34217aad54f363953ed89d5abea231429d690bf99e38e51d";
