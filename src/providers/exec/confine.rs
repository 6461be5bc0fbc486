//! What the kernel lets a program do: Landlock for files, TCP and signals, seccomp for system calls.
//!
//! Both restrict the thread that asks for it and whatever it starts, and can never be taken back. So a thread is made for each
//! program: it restricts itself, starts the program and ends.

use crate::providers::contract::Confine;
use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The newest version of Landlock whose rights are asked for; an older kernel keeps a part of them.
const VERSION: ABI = ABI::V7;

/// The system's own programs and libraries: every program needs some of them, and none of them is a secret.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// What libraries read as they begin.
const BEGIN: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
];

/// What names and certificates are found by; for programs that may use sockets.
const NAMES: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/run/systemd/resolve",
];

/// How far the kernel keeps a program to its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All that was asked for.
    Full,
    /// An older kernel: a part of it.
    Part,
    /// This kernel has no Landlock.
    Nothing,
}

impl Kept {
    /// The word of the enum `Confinement`.
    pub fn word(self) -> &'static str {
        match self {
            Kept::Full => "full",
            Kept::Part => "part",
            Kept::Nothing => "nothing",
        }
    }
}

fn broken(problem: impl std::fmt::Display) -> Unknown {
    wrong(
        Reason::Unavailable,
        format!("the program was not started, because it could not be confined: {problem}"),
    )
}

/// Restricts this thread, for ever.
///
/// # Errors
/// The kernel refuses, or has no Landlock and the contract wants it.
pub fn restrict(program: &Path, confine: &Confine) -> Result<Kept, Unknown> {
    if let Some(missing) = confine
        .reads
        .iter()
        .chain(&confine.writes)
        .chain(&confine.runs)
        .find(|path| !path.exists())
    {
        return Err(wrong(
            Reason::Unavailable,
            format!("its contract lets it reach {}, which is not there", missing.display()),
        ));
    }
    let read = AccessFs::from_read(VERSION) & !AccessFs::Execute;
    let run = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    // Devices are opened and asked, never made.
    let write = (AccessFs::from_all(VERSION) & !AccessFs::Execute) & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(VERSION))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(VERSION)))
        .map_err(broken)?;
    if !confine.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(VERSION)).map_err(broken)?;
    }
    let own: Vec<PathBuf> = vec![program.to_owned()];
    let mut read_paths: Vec<PathBuf> = BEGIN.iter().map(PathBuf::from).collect();
    if confine.network {
        read_paths.extend(NAMES.iter().map(PathBuf::from));
    }
    read_paths.extend(confine.reads.iter().cloned());
    let created = ruleset
        .create()
        .and_then(|created| created.add_rules(path_beneath_rules(SYSTEM, run)))
        .and_then(|created| created.add_rules(path_beneath_rules(own, run)))
        .and_then(|created| created.add_rules(path_beneath_rules(&confine.runs, run)))
        .and_then(|created| created.add_rules(path_beneath_rules(read_paths, read)))
        .and_then(|created| created.add_rules(path_beneath_rules(["/dev/null"], read | AccessFs::WriteFile)))
        .and_then(|created| created.add_rules(path_beneath_rules(&confine.writes, write)))
        .map_err(broken)?;
    let restricted = created.no_new_privs(true).restrict_self().map_err(broken)?;
    let kept = match restricted.ruleset {
        RulesetStatus::FullyEnforced => Kept::Full,
        RulesetStatus::PartiallyEnforced => Kept::Part,
        RulesetStatus::NotEnforced => Kept::Nothing,
    };
    if kept == Kept::Nothing && confine.required {
        return Err(wrong(
            Reason::Unavailable,
            "this kernel cannot confine programs (it has no Landlock), and the contract wants it; `confine: { required: \
             false }` lets it run all the same",
        ));
    }
    for filter in filters(confine.network).map_err(broken)? {
        seccompiler::apply_filter(&filter).map_err(broken)?;
    }
    Ok(kept)
}

/// How far this kernel can confine, without confining anything.
pub fn offered() -> Kept {
    let probe = std::thread::Builder::new().name("starr-confine".to_owned()).spawn(|| {
        Ruleset::default()
            .handle_access(AccessFs::from_all(VERSION))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(VERSION)))
            .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(VERSION)))
            .and_then(landlock::Ruleset::create)
            .and_then(|created| created.restrict_self())
            .map(|status| status.ruleset)
    });
    match probe.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(RulesetStatus::FullyEnforced))) => Kept::Full,
        Ok(Ok(Ok(RulesetStatus::PartiallyEnforced))) => Kept::Part,
        _ => Kept::Nothing,
    }
}

/// System calls that no program of a runbook has any business with: they reach the kernel, other processes, or out of the group by
/// which a program is ended.
const NEVER: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_setsid,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        operator,
        value,
    )?])
}

fn filters(network: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut rules: Rules = NEVER.iter().map(|number| (*number, Vec::new())).collect();
    // A group of its own is what a program begins with; no process of it may go to another.
    rules.insert(
        libc::SYS_setpgid,
        vec![condition(0, SeccompCmpOp::Ne, 0)?, condition(1, SeccompCmpOp::Ne, 0)?],
    );
    let spaces = NAMESPACES
        .iter()
        .map(|flag| {
            let flag = u64::from(flag.unsigned_abs());
            condition(0, SeccompCmpOp::MaskedEq(flag), flag)
        })
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_clone, spaces);
    if !network {
        rules.insert(libc::SYS_socket, Vec::new());
    }
    // The flags of this one lie in memory, where no filter sees them. "No such call" makes libraries use the other.
    let hidden: Rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let compile = |rules: Rules, code: libc::c_int| {
        SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(code.unsigned_abs()),
            std::env::consts::ARCH.try_into()?,
        )
        .and_then(BpfProgram::try_from)
    };
    Ok(vec![compile(rules, libc::EPERM)?, compile(hidden, libc::ENOSYS)?])
}

#[cfg(test)]
mod tests {
    use super::{Kept, filters, offered};

    #[test]
    fn the_filters_can_be_made() {
        for network in [false, true] {
            let made = filters(network).unwrap();
            assert_eq!(made.len(), 2);
            assert!(made.iter().all(|program| !program.is_empty()));
        }
    }

    #[test]
    fn asking_what_the_kernel_offers_confines_nobody_else() {
        assert_ne!(
            offered(),
            Kept::Nothing,
            "the tests of `exec` need a kernel with Landlock"
        );
        assert!(std::fs::read("/etc/hostname").is_ok() || std::fs::read("/etc/passwd").is_ok());
    }
}
