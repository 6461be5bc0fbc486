//! A-SC: what runs is what was signed and pinned. Signatures are exchanged with the real `ssh-keygen`.

use super::{Desk, text};
use std::path::Path;
use std::process::{Command, Output};

const CALM: &str = "runbook calm() \"Calm\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is one more than two?\" { yes when 1 > 2 }\n  }\n  task { goal not odd }\n}\n";

fn ssh_keygen(folder: &Path, words: &[&str]) -> Output {
    Command::new("ssh-keygen")
        .args(words)
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("ssh-keygen is installed; run: scripts/setup")
}

/// A desk with two keys, of which `alice` may sign, and an environment that enforces it.
fn desk(kind: &str) -> Desk {
    let desk = Desk::new();
    for name in ["alice", "mallory"] {
        let made = ssh_keygen(desk.path(), &["-q", "-t", kind, "-N", "", "-C", name, "-f", name]);
        assert!(made.status.success(), "{}", text(&made));
    }
    let public = std::fs::read_to_string(desk.path().join("alice.pub")).unwrap();
    let signers = desk.write(
        "signers",
        &format!("# who may\nalice@example.com namespaces=\"starr-runbook\" {public}"),
    );
    desk.write(
        "starr.yaml",
        &format!(
            "environments:\n  test:\n    signatures: {{ required: true, allowed_signers: {} }}\n",
            signers.display()
        ),
    );
    desk.write("calm.starr", CALM);
    desk
}

fn run(desk: &Desk) -> Output {
    desk.starr(&["run", "calm.starr", "--unattended", "--config", "starr.yaml"])
}

fn refused(desk: &Desk, why: &str) {
    for words in [
        &["run", "calm.starr", "--unattended"][..],
        &["run", "calm.starr", "--dry-run", "--unattended"],
    ] {
        let output = desk.starr(&[words, &["--config", "starr.yaml"]].concat());
        assert_eq!(output.status.code(), Some(3), "{words:?}: {}", text(&output));
        assert!(text(&output).contains(why), "{words:?}: {}", text(&output));
        assert!(
            !text(&output).contains("NOT PRESENT"),
            "{words:?} ran: {}",
            text(&output)
        );
    }
    let check = desk.starr(&["sign", "calm.starr", "--check", "--config", "starr.yaml"]);
    assert_eq!(check.status.code(), Some(3), "{}", text(&check));
    assert!(text(&check).contains(why), "{}", text(&check));
}

#[test]
fn a_sc_2_only_what_a_known_key_signed_runs_in_enforced_mode() {
    for kind in ["ed25519", "ecdsa"] {
        let desk = desk(kind);
        refused(&desk, "not signed");
        desk.write("calm.starr.sig", "");
        refused(&desk, "empty");
        desk.write(
            "calm.starr.sig",
            "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n",
        );
        refused(&desk, "cannot be read");

        // Signed by the real tool with a key that nobody named.
        let sign = |key: &str, namespace: &str| {
            let _ = std::fs::remove_file(desk.path().join("calm.starr.sig"));
            let signed = ssh_keygen(
                desk.path(),
                &["-Y", "sign", "-q", "-f", key, "-n", namespace, "calm.starr"],
            );
            assert!(signed.status.success(), "{}", text(&signed));
        };
        sign("mallory", "starr-runbook");
        refused(&desk, "not on the list");
        sign("alice", "git");
        refused(&desk, "made for `git`");

        // Signed by the real tool with the right key.
        sign("alice", "starr-runbook");
        let good = run(&desk);
        assert_eq!(good.status.code(), Some(0), "{kind}: {}", text(&good));
        let report = text(&desk.starr(&["report", "--config", "starr.yaml"]));
        assert!(report.contains("Signed by alice@example.com (SHA256:"), "{report}");

        // One byte later it is another runbook.
        desk.write("calm.starr", &CALM.replace("1 > 2", "1 > 3"));
        refused(&desk, "does not fit");
        desk.write("calm.starr", CALM);
        assert_eq!(run(&desk).status.code(), Some(0));

        // Signed here, verified by the real tool.
        std::fs::remove_file(desk.path().join("calm.starr.sig")).unwrap();
        let signed = desk.starr(&["sign", "calm.starr", "--key", "alice"]);
        assert_eq!(signed.status.code(), Some(0), "{kind}: {}", text(&signed));
        let verified = Command::new("ssh-keygen")
            .args([
                "-Y",
                "verify",
                "-f",
                "signers",
                "-I",
                "alice@example.com",
                "-n",
                "starr-runbook",
                "-s",
                "calm.starr.sig",
            ])
            .current_dir(desk.path())
            .stdin(std::fs::File::open(desk.path().join("calm.starr")).unwrap())
            .output()
            .unwrap();
        assert!(verified.status.success(), "{kind}: {}", text(&verified));
        assert_eq!(run(&desk).status.code(), Some(0));
    }
}

#[test]
fn a_sc_2_a_list_or_a_key_that_cannot_be_used_is_a_refusal() {
    let desk = desk("ed25519");
    assert_eq!(
        desk.starr(&["sign", "calm.starr", "--key", "alice"]).status.code(),
        Some(0)
    );
    assert_eq!(run(&desk).status.code(), Some(0));
    let signers = std::fs::read_to_string(desk.path().join("signers")).unwrap();
    desk.write(
        "signers",
        &format!("{signers}\nmallory cert-authority ssh-ed25519 AAAA\n"),
    );
    let output = run(&desk);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(
        text(&output).contains("signers: line 4: certificates"),
        "{}",
        text(&output)
    );
    std::fs::remove_file(desk.path().join("signers")).unwrap();
    assert_eq!(run(&desk).status.code(), Some(2));
    // Enforced, and nobody named: a mistake of the configuration, not a way round it.
    desk.write(
        "starr.yaml",
        "environments:\n  test:\n    signatures: { required: true }\n",
    );
    let output = run(&desk);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("nobody may sign"), "{}", text(&output));
    desk.write(
        "starr.yaml",
        "environments:\n  test:\n    signatures: { required: true, allowed_signers: signers }\n",
    );
    assert!(text(&run(&desk)).contains("absolute path"));
    // A key that others can read signs nothing.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(desk.path().join("alice"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let signed = desk.starr(&["sign", "calm.starr", "--key", "alice"]);
    assert!(text(&signed).contains("chmod 600"), "{}", text(&signed));
    let made = ssh_keygen(
        desk.path(),
        &["-q", "-t", "ed25519", "-N", "a passphrase", "-f", "locked"],
    );
    assert!(made.status.success());
    let signed = desk.starr(&["sign", "calm.starr", "--key", "locked"]);
    assert!(text(&signed).contains("ssh-keygen -Y sign"), "{}", text(&signed));
}

const MODULE: &str = "module team.limits \"Limits of the team\"\n\nlet most = 5\n";

fn project() -> Desk {
    let desk = Desk::new();
    desk.write("p/starr.lock", "");
    desk.write("p/team/limits.starr", MODULE);
    desk.write(
        "p/calm.starr",
        &format!("use team.limits.{{most}}\n\n{}", CALM.replace("1 > 2", "most < 2")),
    );
    desk
}

const EVERY: &[&[&str]] = &[
    &["run", "p/calm.starr", "--unattended"],
    &["plan", "p/calm.starr"],
    &["render", "p/calm.starr"],
    &["check", "p"],
];

#[test]
fn a_sc_1_a_module_with_other_content_is_refused_with_both_digests() {
    use sha2::{Digest, Sha256};
    let desk = project();
    // Without pins it runs, and in CI it does not.
    for words in EVERY {
        assert_eq!(
            desk.starr(words).status.code(),
            Some(0),
            "{words:?}: {}",
            text(&desk.starr(words))
        );
        let output = desk.command(words).env("CI", "true").output().unwrap();
        let expected = if words[0] == "check" { 1 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{words:?}: {}", text(&output));
        assert!(
            text(&output).contains("`team.limits` is not in starr.lock"),
            "{words:?}: {}",
            text(&output)
        );
    }
    let missing = desk.starr(&["lock", "p", "--check"]);
    assert_eq!(missing.status.code(), Some(1), "{}", text(&missing));
    let written = desk.starr(&["lock", "p"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written));
    assert_eq!(desk.starr(&["lock", "p", "--check"]).status.code(), Some(0));
    for words in EVERY {
        let output = desk.command(words).env("CI", "true").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output));
    }

    let changed = MODULE.replace('5', "1");
    desk.write("p/team/limits.starr", &changed);
    for words in EVERY {
        let output = desk.starr(words);
        let said = text(&output);
        let expected = if words[0] == "check" { 1 } else { 3 };
        assert_eq!(output.status.code(), Some(expected), "{words:?}: {said}");
        for digest in [MODULE, &changed].map(|content| hex::encode(Sha256::digest(content.as_bytes()))) {
            assert!(said.contains(&digest), "{words:?} does not name {digest}: {said}");
        }
    }
    assert_eq!(desk.starr(&["lock", "p", "--check"]).status.code(), Some(1));
    assert_eq!(desk.starr(&["lock", "p"]).status.code(), Some(0));
    assert!(matches!(desk.starr(EVERY[0]).status.code(), Some(0 | 1)));
}

#[test]
fn a_sc_1_a_lock_that_cannot_be_read_or_another_standard_library_is_refused() {
    let desk = project();
    desk.starr(&["lock", "p"]);
    let good = std::fs::read_to_string(desk.path().join("p/starr.lock")).unwrap();
    let stdlib = starr::check::Embedded::stdlib_digest();
    assert!(
        good.contains(&format!("stdlib {} sha256:{stdlib}", env!("CARGO_PKG_VERSION"))),
        "{good}"
    );
    let zeros = "0".repeat(64);
    for (bad, why) in [
        (good.replace(stdlib, &zeros), stdlib),
        (good.replace("module team", "modul team"), "line 4"),
        (good.replace("format 1", "format 9"), "line 2"),
        (format!("{good}{}", good.lines().last().unwrap()), "twice"),
    ] {
        desk.write("p/starr.lock", &bad);
        let output = desk.starr(EVERY[0]);
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains(why), "{why}: {}", text(&output));
    }
    desk.write("p/starr.lock", &good);
    // The digest of the standard library stands in every plan and in the first entry.
    assert!(text(&desk.starr(&["plan", "p/calm.starr", "--json"])).contains(stdlib));
    let run = desk.starr(&["run", "p/calm.starr", "--unattended", "--json"]);
    let first: serde_json::Value = serde_json::from_str(text(&run).lines().next().unwrap()).unwrap();
    assert_eq!(first["digests"]["stdlib"], *stdlib);
}

#[test]
fn a_sc_2_a_module_counts_when_it_or_the_lock_that_pins_it_is_signed() {
    let desk = desk("ed25519");
    desk.write("starr.lock", "");
    desk.write("team/limits.starr", MODULE);
    desk.write(
        "calm.starr",
        &format!("use team.limits.{{most}}\n\n{}", CALM.replace("1 > 2", "most < 2")),
    );
    let sign = |file: &str| assert_eq!(desk.starr(&["sign", file, "--key", "alice"]).status.code(), Some(0));
    sign("calm.starr");
    let output = run(&desk);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("limits.starr: it is not signed"),
        "{}",
        text(&output)
    );
    sign("team/limits.starr");
    assert_eq!(run(&desk).status.code(), Some(0), "{}", text(&run(&desk)));
    std::fs::remove_file(desk.path().join("team/limits.starr.sig")).unwrap();
    assert_eq!(desk.starr(&["lock", "."]).status.code(), Some(0));
    assert_eq!(run(&desk).status.code(), Some(3));
    sign("starr.lock");
    assert_eq!(run(&desk).status.code(), Some(0), "{}", text(&run(&desk)));
}
