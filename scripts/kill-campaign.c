/* Runs a program and kills it with SIGKILL directly before its k-th write-class system call, counted over all its threads.
 *
 *   kill-campaign K COUNTS PROGRAM ARGUMENT...
 *
 * Write-class is what leaves something behind: writes to files and sockets, syncs, changes of names and sizes, signals. Writes to
 * pipes, event descriptors and the terminal are not counted. K = 0 never kills. The number of calls is written to COUNTS.
 * Exit: the program's own code, or 137 when it was killed here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

static int to_file_or_socket(pid_t thread, long descriptor)
{
    char link[64], target[PATH_MAX];
    snprintf(link, sizeof link, "/proc/%d/fd/%ld", thread, descriptor);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0)
        return 0;
    target[length] = 0;
    return strncmp(target, "pipe:", 5) && strncmp(target, "anon_inode:", 11) && strncmp(target, "/dev/", 5);
}

static int write_class(pid_t thread, const struct ptrace_syscall_info *call)
{
    switch (call->entry.nr) {
    case SYS_write: case SYS_writev: case SYS_pwrite64: case SYS_pwritev: case SYS_pwritev2:
        return to_file_or_socket(thread, (long)call->entry.args[0]);
    case SYS_sendto: case SYS_sendmsg: case SYS_sendmmsg: case SYS_fsync: case SYS_fdatasync: case SYS_ftruncate:
    case SYS_rename: case SYS_renameat: case SYS_renameat2: case SYS_unlink: case SYS_unlinkat:
    case SYS_kill: case SYS_pidfd_send_signal: case SYS_connect:
        return 1;
    default:
        return 0;
    }
}

int main(int count, char **words)
{
    if (count < 4) {
        fprintf(stderr, "usage: kill-campaign K COUNTS PROGRAM ARGUMENT...\n");
        return 2;
    }
    long wanted = atol(words[1]), calls = 0;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(words[3], words + 3);
        perror(words[3]);
        _exit(127);
    }
    int status, result = 1, killed = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, child, 0, 0);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == child) {
                result = killed ? 137 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                break;
            }
            continue;
        }
        int signal = WSTOPSIG(status), deliver = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct ptrace_syscall_info call;
            memset(&call, 0, sizeof call);
            ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call);
            if (call.op == PTRACE_SYSCALL_INFO_ENTRY && write_class(thread, &call) && ++calls == wanted) {
                killed = 1;
                kill(child, SIGKILL);
                continue;
            }
        } else if (signal != SIGTRAP && !(signal == SIGSTOP && status >> 16 == 0 && thread != child)) {
            deliver = signal == SIGSTOP ? 0 : signal;
        }
        ptrace(PTRACE_SYSCALL, thread, 0, deliver);
    }
    int file = open(words[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file >= 0) {
        dprintf(file, "%ld\n", calls);
        close(file);
    }
    return result;
}
