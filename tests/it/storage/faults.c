/* Faults of the storage on command: the file named by STARR_TEST_FAULT holds one word while the fault lasts.
 *   full         writes to the journal find no space
 *   full=TEXT    the same from the first write on that holds this text
 *   sync         syncs of the journal fail
 *   lock         the file system has no locks
 *   clock=N      the wall clock shows N seconds more
 * Everything inside goes by bare system calls, so that nothing here meets itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int word(char *into, int size) {
    const char *path = getenv("STARR_TEST_FAULT");
    if (!path) return 0;
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return 0;
    int got = syscall(SYS_read, fd, into, size - 1);
    syscall(SYS_close, fd);
    if (got <= 0) return 0;
    into[got] = 0;
    return 1;
}

static int is(const char *fault) {
    char now[64];
    return word(now, sizeof now) && strncmp(now, fault, strlen(fault)) == 0;
}

/* Whether this write finds no space. */
static int full(const void *data, size_t size) {
    static int struck;
    char now[64];
    if (!word(now, sizeof now) || strncmp(now, "full", 4) != 0) {
        struck = 0;
        return 0;
    }
    if (now[4] != '=') return 1;
    if (memmem(data, size, now + 5, strlen(now + 5))) struck = 1;
    return struck;
}

static int journal(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long got = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (got <= 0) return 0;
    path[got] = 0;
    return strstr(path, "journal.db") && !strstr(path, "-shm");
}

#define FAIL(error) do { errno = error; return -1; } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    int kept = errno;
    if (journal(fd) && full(data, size)) FAIL(ENOSPC);
    errno = kept;
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    if (journal(fd) && full(data, size)) FAIL(ENOSPC);
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return pwrite(fd, data, size, at);
}

int fsync(int fd) {
    if (journal(fd) && is("sync")) FAIL(EIO);
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (journal(fd) && is("sync")) FAIL(EIO);
    return syscall(SYS_fdatasync, fd);
}

int flock(int fd, int how) {
    if (is("lock")) FAIL(ENOLCK);
    return syscall(SYS_flock, fd, how);
}

static int control(int fd, int command, void *argument) {
    if ((command == F_SETLK || command == F_SETLKW || command == F_GETLK) && is("lock")) FAIL(ENOLCK);
    return syscall(SYS_fcntl, fd, command, argument);
}

int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control(fd, command, argument);
}

int clock_gettime(clockid_t which, struct timespec *time) {
    int done = syscall(SYS_clock_gettime, which, time);
    char now[64];
    if (done == 0 && which == CLOCK_REALTIME && word(now, sizeof now) && strncmp(now, "clock=", 6) == 0)
        time->tv_sec += atol(now + 6);
    return done;
}
