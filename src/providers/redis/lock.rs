//! The lock of a server: a key with an expiry in database 0, and the fence that lets a change through only while that key is ours.
//!
//! The key is written by a script that may run when the memory is full (`allow-oom`): that is when a runbook comes. A change
//! watches the key and is sent in a transaction, so that one that lost the lock meanwhile does nothing.

use super::config::{Role, Server};
use super::connection::{Link, open};
use super::failure::Failure;
use super::info::text;
use crate::provider::lock::{self, Held, Holder, NotTaken, Other};
use crate::value::{Reason, Unknown};
use ::redis::{Cmd, Value as Reply, cmd};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The key, in database 0: settings belong to the whole server.
pub const KEY: &str = "starr:lock";

/// How long the server keeps the lock of a holder that says nothing.
const SILENCE: Duration = Duration::from_secs(75);

/// How often the holder says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest time for taking the lock, and for the server to say that it is still held.
const TAKING: Duration = Duration::from_secs(10);

/// Longest time for giving it back; behind it the expiry does it.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Takes the lock when it is free, or is the one that is to be lost.
const TAKE: &str = "#!lua flags=allow-oom
local now = redis.call('get', KEYS[1])
if now and now ~= ARGV[3] then return now end
redis.call('set', KEYS[1], ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
return false";

/// Lets the lock live on, while it is ours.
const RENEW: &str = "#!lua flags=allow-oom
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])";

/// Gives the lock back, while it is ours.
const GIVE_BACK: &str = "#!lua flags=allow-oom
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])";

/// The locks that this process holds, by target: what stands in the key.
#[derive(Clone, Default)]
pub struct Holding(Arc<Mutex<BTreeMap<String, Arc<str>>>>);

/// What stands in the key while the lock is ours.
pub type Fence = Arc<str>;

impl Holding {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fence of a target, when its lock is ours.
    pub fn of(&self, target: &str) -> Option<Fence> {
        self.locked().get(target).cloned()
    }
}

struct Lock {
    server: Arc<Server>,
    target: String,
    fence: Fence,
    holding: Holding,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.heartbeat.abort();
        self.holding.locked().remove(&self.target);
        let (server, fence) = (Arc::clone(&self.server), Arc::clone(&self.fence));
        lock::give_back(GIVING_BACK, async move || {
            let until = Instant::now() + GIVING_BACK;
            if let Ok(mut link) = open(&server, Role::Change, 0, until).await {
                let _ = link.change(script(GIVE_BACK).arg(&*fence)).await;
            }
        });
    }
}

fn script(text: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(1).arg(KEY);
    command
}

/// Takes the lock, or says who has it.
pub async fn take(
    server: &Arc<Server>,
    target: &str,
    holding: &Holding,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Box<dyn Held>, NotTaken> {
    let unclear = |failure: Failure| NotTaken::Unclear(failure.unknown);
    let until = Instant::now() + TAKING;
    let mut link = open(server, Role::Change, 0, until)
        .await
        .map_err(|closed| unclear(closed.failure()))?;
    let mut nonce = [0_u8; 12];
    getrandom::fill(&mut nonce).map_err(|problem| {
        NotTaken::Unclear(Unknown {
            reason: Reason::Unavailable,
            detail: format!("no randomness: {problem}"),
        })
    })?;
    let since = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let fence: Fence = format!("{}\n{since}\n{}", holder.line(), hex::encode(nonce)).into();
    let reply = link
        .change(
            script(TAKE)
                .arg(&*fence)
                .arg(millis(SILENCE))
                .arg(take_over.unwrap_or_default()),
        )
        .await
        .map_err(unclear)?;
    if !matches!(reply, Reply::Nil) {
        let now = text(&reply).unwrap_or_default();
        return Err(NotTaken::HeldBy(other(&now)));
    }
    holding.locked().insert(target.to_owned(), Arc::clone(&fence));
    let beating = (Arc::clone(server), Arc::clone(&fence));
    let heartbeat = tokio::spawn(async move {
        let (server, fence) = beating;
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            // A heartbeat that fails changes nothing here: the next change asks and is told.
            if let Ok(mut link) = open(&server, Role::Change, 0, Instant::now() + TAKING).await {
                let _ = link.change(script(RENEW).arg(&*fence).arg(millis(SILENCE))).await;
            }
        }
    });
    Ok(Box::new(Lock {
        server: Arc::clone(server),
        target: target.to_owned(),
        fence,
        holding: holding.clone(),
        heartbeat,
    }))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Another holder, as the key shows it.
fn other(now: &str) -> Other {
    let mut lines = now.lines();
    let who = lines.next().unwrap_or_default();
    let since = lines.next().unwrap_or_default();
    Other {
        shown: if lines.next().is_some() && !who.is_empty() {
            format!("run {who}")
        } else {
            "something that is no run of starr".to_owned()
        },
        since: since.chars().take(40).collect(),
        token: now.to_owned(),
    }
}

impl Held for Lock {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        Box::pin(async move {
            let asked = async {
                let mut link = open(&self.server, Role::Change, 0, Instant::now() + TAKING)
                    .await
                    .map_err(super::connection::Closed::failure)?;
                link.ask(cmd("GET").arg(KEY)).await
            };
            match asked.await {
                Ok(reply) if text(&reply).as_deref() == Some(&*self.fence) => Ok(()),
                Ok(_) => Err(Unknown {
                    reason: Reason::Denied,
                    detail: "the server says that the lock has expired or that somebody else has it".to_owned(),
                }),
                Err(failure) => Err(failure.unknown),
            }
        })
    }
}

/// From here on a transaction of this connection is carried out only while the lock is ours. Without a lock there is no fence.
pub async fn watch(link: &mut Link, fence: Option<&Fence>) -> Result<(), Failure> {
    let Some(fence) = fence else {
        return Ok(());
    };
    link.ask(cmd("WATCH").arg(KEY)).await?;
    let now = link.ask(cmd("GET").arg(KEY)).await?;
    if text(&now).as_deref() == Some(&**fence) {
        return Ok(());
    }
    Err(lost())
}

/// Sends a command in a transaction, which does nothing when the lock was lost.
///
/// A server whose memory is full queues nothing. Then the command is sent by itself, directly behind one more look at the lock.
pub async fn fenced(link: &mut Link, fence: Option<&Fence>, command: &Cmd) -> Result<Reply, Failure> {
    if fence.is_none() {
        return link.change(command).await;
    }
    link.ask(&cmd("MULTI")).await?;
    // Queued: until EXEC nothing is done.
    if let Err(failure) = link.ask(command).await {
        // This ends the transaction, in which there is nothing.
        let _ = link.ask(&cmd("EXEC")).await;
        if !failure.unknown.detail.contains("OOM") {
            return Err(failure);
        }
        watch(link, fence).await?;
        return link.change(command).await;
    }
    match link.change(&cmd("EXEC")).await? {
        Reply::Nil => Err(lost()),
        Reply::Array(mut replies) if replies.len() == 1 => Ok(replies.swap_remove(0)),
        _ => Err(super::info::odd("EXEC").after_sending()),
    }
}

/// The same words for a lock that a script found lost.
pub fn lost() -> Failure {
    Failure::definite(
        Reason::Denied,
        "the lock of this server has expired or somebody else has it: nothing was done",
    )
}

#[cfg(test)]
mod tests {
    use super::other;

    #[test]
    fn what_is_in_the_key_is_shown_as_far_as_it_is_ours() {
        let ours = other("260814-0912-kolu maria@laptop7\n2026-08-14 09:12:00 UTC\nabc");
        assert_eq!(ours.shown, "run 260814-0912-kolu maria@laptop7");
        assert_eq!(ours.since, "2026-08-14 09:12:00 UTC");
        assert_eq!(other("42").shown, "something that is no run of starr");
        assert_eq!(other("").token, "");
    }
}
