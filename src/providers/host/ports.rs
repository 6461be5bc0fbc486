//! Ports that somebody listens on, and who.

use super::processes;
use super::source::{Found, Machine, unknown};
use crate::value::{List, Reason, Unknown, Value};
use procfs::net::{TcpNetEntries, TcpState, UdpNetEntries, UdpState};
use procfs::{FromReadSI, ProcError};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Most listeners in a reply.
const MOST: usize = crate::limits::HOST_LISTENERS;

/// A socket that waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub tcp: bool,
    pub address: SocketAddr,
    pub user: u32,
    pub inode: u64,
}

fn table<T>(parsed: Result<T, ProcError>, what: &str) -> Found<T> {
    parsed.or_else(|_| unknown(Reason::Unparsable, format!("{what} is not in the form that is known")))
}

/// Reads `/proc/net/tcp` or `tcp6`: sockets in the state LISTEN.
pub fn tcp(bytes: &[u8]) -> Found<Vec<Socket>> {
    let entries: TcpNetEntries = table(
        TcpNetEntries::from_read(bytes, procfs::current_system_info()),
        "the table of TCP sockets",
    )?;
    Ok(entries
        .0
        .into_iter()
        .filter(|entry| entry.state == TcpState::Listen)
        .map(|entry| Socket {
            tcp: true,
            address: entry.local_address,
            user: entry.uid,
            inode: entry.inode,
        })
        .collect())
}

/// Reads `/proc/net/udp` or `udp6`: bound sockets without a peer.
pub fn udp(bytes: &[u8]) -> Found<Vec<Socket>> {
    let entries: UdpNetEntries = table(
        UdpNetEntries::from_read(bytes, procfs::current_system_info()),
        "the table of UDP sockets",
    )?;
    Ok(entries
        .0
        .into_iter()
        .filter(|entry| entry.state == UdpState::Close && entry.remote_address.port() == 0)
        .map(|entry| Socket {
            tcp: false,
            address: entry.local_address,
            user: entry.uid,
            inode: entry.inode,
        })
        .collect())
}

/// `host.ports.listening`
pub fn listening(machine: &Machine, port: Option<i64>) -> Found<Value> {
    let mut sockets = tcp(&machine.proc("net/tcp")?)?;
    sockets.extend(udp(&machine.proc("net/udp")?)?);
    // A kernel without IPv6 has no such tables; that is no mistake.
    for (path, read) in [("net/tcp6", tcp as fn(&[u8]) -> _), ("net/udp6", udp)] {
        match machine.proc(path) {
            Ok(bytes) => sockets.extend(read(&bytes)?),
            Err(problem) if problem.reason == Reason::Unavailable => {}
            Err(problem) => return Err(problem),
        }
    }
    sockets.retain(|socket| port.is_none_or(|port| i64::from(socket.address.port()) == port));
    sockets.sort_by_key(|socket| (socket.address.port(), !socket.tcp, socket.address));
    let truncated = sockets.len() > MOST;
    sockets.truncate(MOST);
    let owners = owners(machine, &sockets)?;
    let users = machine.users();
    let items = sockets
        .iter()
        .map(|socket| {
            let (pid, process) = match owners.found.get(&socket.inode) {
                Some((pid, name)) => (Value::Int(*pid), Value::text(name.as_str())),
                None => {
                    let not_known = Value::Unknown(Arc::new(owners.otherwise.clone()));
                    (not_known.clone(), not_known)
                }
            };
            Value::record(
                "Listener",
                vec![
                    ("protocol", Value::variant(if socket.tcp { "tcp" } else { "udp" })),
                    ("address", Value::text(socket.address.ip().to_string())),
                    ("port", Value::Int(socket.address.port().into())),
                    ("user", Value::text(users.name(socket.user))),
                    ("pid", pid),
                    ("process", process),
                ],
            )
        })
        .collect();
    Ok(Value::List(Arc::new(List { items, truncated })))
}

struct Owners {
    /// Number and name by inode of the socket.
    found: BTreeMap<u64, (i64, String)>,
    /// Why the others have none.
    otherwise: Unknown,
}

/// Who holds the sockets: the process that began first, where several share one.
fn owners(machine: &Machine, sockets: &[Socket]) -> Found<Owners> {
    let wanted: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut first: BTreeMap<u64, (u64, i64, String)> = BTreeMap::new();
    let mut denied = false;
    for pid in if wanted.is_empty() {
        Vec::new()
    } else {
        processes::numbers(machine)?
    } {
        let folder = machine.proc.join(pid.to_string()).join("fd");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(problem) => {
                denied |= problem.kind() == std::io::ErrorKind::PermissionDenied;
                continue;
            }
        };
        let held: BTreeSet<u64> = entries
            .filter_map(|entry| {
                let target = std::fs::read_link(entry.ok()?.path()).ok()?;
                target
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()
            })
            .filter(|inode| wanted.contains(inode))
            .collect();
        if held.is_empty() {
            continue;
        }
        if let Ok(Some(seen)) = processes::one(machine, pid) {
            for inode in held {
                let mine = (seen.stat.started, pid, seen.stat.name.clone());
                match first.get(&inode) {
                    Some(other) if *other <= mine => {}
                    _ => {
                        first.insert(inode, mine);
                    }
                }
            }
        }
    }
    Ok(Owners {
        found: first
            .into_iter()
            .map(|(inode, (_, pid, name))| (inode, (pid, name)))
            .collect(),
        otherwise: if denied {
            Unknown {
                reason: Reason::Denied,
                detail: "the owner belongs to another user".to_owned(),
            }
        } else {
            Unknown {
                reason: Reason::Missing,
                detail: "no process that can be seen holds the socket: the kernel's, or one of another container"
                    .to_owned(),
            }
        },
    })
}
