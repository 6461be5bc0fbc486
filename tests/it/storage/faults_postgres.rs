//! The same faults with the journal in a database: a disk of the server that is full, a commit that fails, a server that goes away, one
//! that can only be read, and a clock of this machine that is set back. The real binary runs; the server raises what a real one would.

use super::faults::{Desk, both, the_clock_is_set_back};
use super::postgres::{described, place};
use crate::support::postgres::{Place, run};
use starr::journal::postgres::Server;
use tokio::runtime::Runtime;

/// A desk whose journal is in a database, the database, and what drives it.
struct There {
    desk: Desk,
    place: Place,
    server: Server,
    runtime: Runtime,
}

impl There {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (place, server) = runtime.block_on(place());
        let folder = tempfile::tempdir().unwrap();
        let journal = described(&server, folder.path(), "");
        Self {
            desk: Desk::with(folder, &journal),
            place,
            server,
            runtime,
        }
    }

    /// Somebody who may do anything with the server does this.
    fn sql(&self, sql: &str) {
        self.runtime
            .block_on(async { run(&mut self.place.admin().await, sql).await });
    }

    /// Whenever an entry is recorded, now or when it is committed, the server raises this.
    fn raise(&self, trigger: &str, code: &str, message: &str) {
        self.sql(&format!(
            "create function starr.fault() returns trigger language plpgsql as
             $$ begin raise exception '{message}' using errcode = '{code}'; end $$;
             {trigger} for each row execute function starr.fault()"
        ));
    }

    fn mend(&self) {
        self.sql("drop trigger fault on starr.entries; drop function starr.fault()");
    }

    /// The fault strikes when the intent is to be recorded: nothing is sent, exit code 5, and once it is over everything works.
    fn nothing_is_sent(&self, fault: impl FnOnce(), mend: impl FnOnce(), says: &[&str]) {
        let (code, seen) = self.desk.approved_after(fault);
        assert_eq!(code, 5, "{seen}");
        assert_eq!(self.desk.shop.pushes(), 0, "something was sent: {seen}");
        for words in says {
            assert!(seen.contains(words), "{words:?} is missing in\n{seen}");
        }
        mend();
        assert!(self.desk.said(&["journal", "verify"]).contains("intact"));
        let (code, seen) = self.desk.approved_after(|| {});
        assert_eq!(code, 0, "{seen}");
        assert_eq!(self.desk.shop.pushes(), 1);
        assert!(self.desk.said(&["journal", "verify"]).contains("intact"));
    }
}

/// A-CR-2, and the half of A-AU-5 that is about a full store.
#[test]
fn a_disk_of_the_server_that_is_full_at_the_moment_of_the_intent() {
    let there = There::new();
    there.nothing_is_sent(
        || {
            there.raise(
                "create trigger fault before insert on starr.entries",
                "53100",
                "could not extend file: No space left on device",
            );
        },
        || there.mend(),
        &["the server's disk is full", "Free some space on the server"],
    );
}

#[test]
fn a_commit_that_fails_on_the_server_at_the_moment_of_the_intent() {
    let there = There::new();
    there.nothing_is_sent(
        || {
            there.raise(
                "create constraint trigger fault after insert on starr.entries deferrable initially deferred",
                "58030",
                "could not fsync file: Input/output error",
            );
        },
        || there.mend(),
        &["a fault of its own or of its disk", "Do not trust the last entries"],
    );
}

#[test]
fn a_server_that_goes_away_at_the_moment_of_the_intent() {
    let there = There::new();
    there.nothing_is_sent(
        || {
            there.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where application_name = 'starr journal' and datname = current_database()",
            );
        },
        || {},
        &["Whether the last entry was recorded is not known"],
    );
}

/// A-AU-5: the store is read-only. Not even a read leaves the process.
#[test]
fn a_database_that_can_only_be_read() {
    let there = There::new();
    // A run without trouble makes the tables.
    let (code, seen) = there.desk.approved_after(|| {});
    assert_eq!(code, 0, "{seen}");
    let asked = there.desk.shop.asked();
    let role = &there.server.login.user;
    there.sql(&format!("alter role {role} set default_transaction_read_only = on"));
    let refused = there.desk.run().output().unwrap();
    assert_eq!(refused.status.code(), Some(5), "{}", both(&refused));
    assert!(both(&refused).contains("it can only be read"), "{}", both(&refused));
    assert_eq!(
        there.desk.shop.asked(),
        asked,
        "something was asked: {}",
        both(&refused)
    );
    // What only looks still works.
    assert!(there.desk.said(&["journal", "verify"]).contains("intact"));
    assert!(there.desk.said(&["runs"]).contains("push"));
}

/// A-CL-1.
#[test]
fn a_clock_that_is_set_back_an_hour_with_a_journal_in_a_database() {
    the_clock_is_set_back(&There::new().desk);
}
