//! How programs end, what they say, and what becomes of those they started.

use super::{Bench, gone, lines, program, runs, why};
use crate::support::gated::{field, items};
use starr::provider::Outcome;
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};

#[tokio::test]
async fn at_the_deadline_it_and_all_that_it_started_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("numbers");
    // A child, a grandchild whose parent has gone, and one that wants to be a leader of its own.
    let text = format!(
        "#!/bin/bash\nset -m\nsleep 600 & echo $! >> {0}\n(sleep 600 & echo $! >> {0})\nsetsid sleep 600 & echo $! >> \
         {0}\necho $$ >> {0}\nwait\nsleep 600\n",
        list.display()
    );
    let confine = format!("confine: {{ writes: [{}] }}", folder.path().display());
    let bench = Bench::new()
        .script("look", &format!("does: read, {confine}"), &text)
        .script("change", &format!("does: change, within_seconds: 8, {confine}"), &text);
    let world = bench.world();
    let begin = Instant::now();
    let look = world.call("ask", &[program("look")], Duration::from_secs(8));
    let (reason, detail) = why(&world.gate.read(&look).await);
    assert_eq!(reason, Reason::Timeout, "{detail}");
    let numbers = lines(&list, 4).await;
    gone(&numbers).await;
    assert!(begin.elapsed() < Duration::from_secs(60));
    // Its contract's own deadline, and a change whose fate nobody knows.
    std::fs::remove_file(&list).unwrap();
    let outcome = world.change("run", &[program("change")]).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(why) if why.reason == Reason::Timeout),
        "{outcome:?}"
    );
    gone(&lines(&list, 4).await).await;
}

#[tokio::test]
async fn whoever_is_left_behind_is_ended_and_holds_nothing_up() {
    let bench = Bench::new().script(
        "leaves",
        "does: read, output: text, within_seconds: 60",
        "#!/bin/sh\nsleep 600 &\necho $!\n",
    );
    let begin = Instant::now();
    let said = bench.world().read("ask", &[program("leaves")]).await;
    let Value::Text(number) = field(&said, "text") else {
        panic!("{said:?}")
    };
    gone(&[number.to_string()]).await;
    assert!(begin.elapsed() < Duration::from_secs(50));
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("numbers");
    let bench = Bench::new().script(
        "long",
        &format!("does: read, confine: {{ writes: [{}] }}", folder.path().display()),
        &format!(
            "#!/bin/sh\necho $$ >> {0}\nsleep 600 & echo $! >> {0}\nwait\n",
            list.display()
        ),
    );
    let world = bench.world();
    let long = [program("long")];
    let asked = world.read("ask", &long);
    let numbers = tokio::select! {
        value = asked => panic!("{value:?}"),
        numbers = lines(&list, 2) => numbers,
    };
    gone(&numbers).await;
}

#[tokio::test]
async fn exit_codes_mean_what_the_contract_says_and_nothing_else() {
    let bench = Bench::new()
        .script("three", "does: read, exit: { ok: [0], no: [3] }", "#!/bin/sh\nexit 3\n")
        .script(
            "four",
            "does: read, exit: { ok: [0], no: [3] }",
            "#!/bin/sh\necho 'no disk' >&2\nexit 4\n",
        )
        .script("killed", "does: read", "#!/bin/sh\nkill -9 $$\n")
        .script("done", "does: change, exit: { no: [3] }", "#!/bin/sh\n")
        .script("nothing", "does: change, exit: { no: [3] }", "#!/bin/sh\nexit 3\n")
        .script("half", "does: change, exit: { no: [3] }", "#!/bin/sh\nexit 1\n")
        .script("again", "does: change, repeatable: true", "#!/bin/sh\n");
    let world = bench.world();
    let three = world.read("ask", &[program("three")]).await;
    assert_eq!(
        (field(&three, "ok"), field(&three, "code")),
        (Value::Bool(false), Value::Int(3))
    );
    let (reason, detail) = why(&world.read("ask", &[program("four")]).await);
    assert!(
        reason == Reason::Unavailable && detail.contains("code 4") && detail.contains("no disk"),
        "{detail}"
    );
    let (_, detail) = why(&world.read("ask", &[program("killed")]).await);
    assert!(detail.contains("signal"), "{detail}");
    world.done("run", &[program("done")]).await;
    world.done("ensure", &[program("again")]).await;
    world.refused("run", &[program("nothing")]).await;
    let outcome = world.change("run", &[program("half")]).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_program_that_says_too_much_is_ended() {
    let bench = Bench::new()
        .system("babble", "/usr/bin/yes", "does: read, output: text")
        .script(
            "much",
            "does: change, output: lines",
            "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' '\\n'\n",
        )
        .script(
            "quiet",
            "does: read, output: none",
            "#!/bin/sh\nhead -c 3000000 /dev/zero\n",
        );
    let world = bench.world();
    let (reason, _) = why(&world.read("ask", &[program("babble")]).await);
    assert_eq!(reason, Reason::Truncated);
    // A change goes on to its end: what it says beyond the limit is thrown away, its exit code is not.
    let said = world.done("run", &[program("much")]).await;
    let list = field(&said, "lines");
    let list = list.as_list().unwrap();
    assert!(list.truncated && list.items.len() == 100_000);
    let quiet = world.read("ask", &[program("quiet")]).await;
    assert_eq!(field(&quiet, "ok"), Value::Bool(true));
}

#[tokio::test]
async fn hostile_output_is_data() {
    let document = "does: read, output: json, schema: { status: Text, errors: Int }";
    let bench = Bench::new()
        .script(
            "escapes",
            "does: read, output: lines",
            "#!/bin/sh\nprintf '\\033[2J{run.id}\\n\\377\\376\\n\\0x\\n'\n",
        )
        .script(
            "good",
            document,
            "#!/bin/sh\necho '{\"status\": \"up\", \"errors\": 2, \"more\": [1]}'\n",
        )
        .script(
            "wrong",
            document,
            "#!/bin/sh\necho '{\"status\": \"up\", \"errors\": \"two\"}'\n",
        )
        .script(
            "trick",
            document,
            "#!/bin/sh\necho '{\"unknown\": \"denied\", \"detail\": \"x\"}'\n",
        )
        .script("prose", document, "#!/bin/sh\necho all is well\n")
        .script("deep", document, "#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' '['\n");
    let world = bench.world();
    let escapes = items(&field(&world.read("ask", &[program("escapes")]).await, "lines"));
    assert_eq!(escapes[0], Value::text("\u{1b}[2J{run.id}"));
    assert_eq!(escapes[1], Value::text("\u{fffd}\u{fffd}"));
    assert_eq!(escapes[2], Value::text("\0x"));
    let Value::Json(good) = world.read("document", &[program("good")]).await else {
        panic!()
    };
    assert_eq!(good["errors"], 2);
    for (name, said) in [
        ("wrong", "errors"),
        ("trick", "contract"),
        ("prose", "not JSON"),
        ("deep", "not JSON"),
    ] {
        let (reason, detail) = why(&world.read("document", &[program(name)]).await);
        assert!(
            reason == Reason::Unparsable && detail.contains(said),
            "{name}: {detail}"
        );
    }
    assert!(!runs("0"));
}
