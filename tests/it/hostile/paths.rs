//! A-PA: files stay inside.

use super::{Desk, text};

/// Stands in files outside only; an import that names a part of it is written with its other name.
const CANARY: &str = "canary-of-a-file-outside-7731";

/// A project in a folder of its own, and a file outside that nobody may see.
fn project() -> Desk {
    let desk = Desk::new();
    desk.write(
        "outside.starr",
        &format!("module outside \"{CANARY}\"\nlet {} = 1\n", CANARY.replace('-', "_")),
    );
    desk.write("outside/inner.starr", &format!("module inner \"{CANARY}\"\n"));
    desk.write("project/.git/config", "");
    desk
}

fn refused_everywhere(desk: &Desk, import: &str) {
    desk.write(
        "project/x.starr",
        &format!("{import}\n\nrunbook x() \"X\" {{\n  timebox 5 min then escalate\n  advise \"Look\"\n}}\n"),
    );
    for words in [
        &["check"][..],
        &["run", "--unattended"],
        &["plan"],
        &["render"],
        &["fmt", "--check"],
    ] {
        let mut all = words.to_vec();
        all.push("project/x.starr");
        let output = desk.starr(&all);
        let said = text(&output);
        assert!(
            !said.contains(CANARY) && !said.contains("root:"),
            "{words:?} on {import}: {said}"
        );
        // The formatter reads no other file.
        if words[0] == "fmt" && !said.contains("error") {
            continue;
        }
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{words:?} on {import}: {said}"
        );
        assert!(
            said.contains("x.starr:1:"),
            "{words:?} on {import} names no place: {said}"
        );
    }
}

#[test]
fn a_pa_1_an_import_never_leaves_its_root_by_name() {
    let desk = project();
    for import in [
        "use ../../../../etc/passwd.{root}",
        "use /etc/passwd.{root}",
        "use ..outside.{x}",
        "use \"../outside.starr\".{x}",
        "use outside.{canary_of_a_file_outside_7731}",
        "use etc.passwd.{root}",
    ] {
        refused_everywhere(&desk, import);
    }
}

#[test]
fn a_pa_2_an_import_never_leaves_its_root_by_a_link() {
    let desk = project();
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(desk.path().join(to), desk.path().join(at)).unwrap();
    link("outside.starr", "project/linked.starr");
    link("outside", "project/folder");
    std::os::unix::fs::symlink("../outside.starr", desk.path().join("project/relative.starr")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", desk.path().join("project/device.starr")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        desk.path().join("project/pipe.starr"),
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    for import in [
        "use linked.{canary_of_a_file_outside_7731}",
        "use folder.inner.{x}",
        "use relative.{x}",
        "use device.{x}",
        "use pipe.{x}",
    ] {
        refused_everywhere(&desk, import);
    }
}

/// A link that is switched between a module and a file outside, as fast as possible, while the module is read.
#[test]
fn a_pa_2_a_link_that_changes_while_it_is_read_shows_nothing() {
    let desk = project();
    desk.write("project/good.starr", "module good \"Good\"\nlet five = 5\n");
    desk.write(
        "project/x.starr",
        "use moving.{five}\n\nrunbook x() \"X\" {\n  timebox 5 min then escalate\n  advise \"Look {five}\"\n}\n",
    );
    let (good, outside) = (
        desk.path().join("project/good.starr"),
        desk.path().join("outside.starr"),
    );
    let (moving, beside) = (
        desk.path().join("project/moving.starr"),
        desk.path().join("project/.beside"),
    );
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mover = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for target in [&good, &outside] {
                    let _ = std::fs::remove_file(&beside);
                    std::os::unix::fs::symlink(target, &beside).unwrap();
                    std::fs::rename(&beside, &moving).unwrap();
                }
            }
        }
    });
    let mut shown = Vec::new();
    for _ in 0..40 {
        shown.push(text(&desk.starr(&["check", "project/x.starr"])));
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    mover.join().unwrap();
    let leaked: Vec<&String> = shown.iter().filter(|said| said.contains(CANARY)).collect();
    assert!(leaked.is_empty(), "{}", leaked[0]);
}
