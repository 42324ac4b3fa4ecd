/* What the kernel alone charges for a container: the calls of a `run` with nothing around them. No configuration is
 * read, nothing is checked or kept, no filter loaded.
 *
 * Arguments: the root file system, then the groups to make, which must not be there. A group without a file `tasks` is
 * of cgroup v2, and the process is born in it. Status 0 when the program /bin/true ran and everything is gone again;
 * then the answer is the time of the calls in nanoseconds, without the start and the end of this program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 32 };
static int tasks[MOST], joins;

static void need(int condition, const char *what) {
    if (!condition) {
        perror(what);
        _exit(1);
    }
}

/* Whether there is such a file in the group; then it gets the value. */
static int put(const char *group, const char *name, const char *value) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", group, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    need(write(file, value, strlen(value)) > 0, path);
    close(file);
    return 1;
}

/* A v1 cpuset begins empty, and takes no process so. */
static void inherit(const char *group, const char *name) {
    char path[4096], value[256] = "";
    snprintf(path, sizeof path, "%s/../%s", group, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    need(read(file, value, sizeof value - 1) > 0 && put(group, name, value), path);
    close(file);
}

static void limit(const char *group) {
    static const char *const nodes[] = {"c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm",   "c 1:7 rwm",
                                        "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 136:* rwm", "c 5:2 rwm"};
    inherit(group, "cpuset.cpus");
    inherit(group, "cpuset.mems");
    put(group, "memory.limit_in_bytes", "67108864");
    put(group, "pids.max", "100");
    if (put(group, "devices.deny", "a"))
        for (unsigned at = 0; at < sizeof nodes / sizeof *nodes; at++)
            put(group, "devices.allow", nodes[at]);
}

static void make_mounts(const char *root) {
    need(!mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make / a slave");
    need(!mount(root, root, NULL, MS_BIND | MS_REC, NULL) && !chdir(root), root);
    const unsigned long closed = MS_NOSUID | MS_NOEXEC | MS_NODEV;
    need(!mount("proc", "proc", "proc", closed, NULL), "proc");
    need(!mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"), "dev");
    need(!mkdir("dev/pts", 0755) && !mkdir("dev/mqueue", 0755) && !mkdir("dev/shm", 0755), "mkdir");
    const char *options = "newinstance,ptmxmode=0666,mode=0620,gid=5";
    need(!mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, options), "dev/pts");
    need(!mount("sysfs", "sys", "sysfs", closed | MS_RDONLY, NULL), "sys");
    need(!mount("mqueue", "dev/mqueue", "mqueue", closed, NULL), "dev/mqueue");
    need(!mount("shm", "dev/shm", "tmpfs", closed, "mode=1777,size=65536k"), "dev/shm");
}

static void make_nodes(void) {
    static const struct { const char *name; unsigned major, minor; } nodes[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
        {"dev/tty", 5, 0},  {"dev/random", 1, 8}, {"dev/urandom", 1, 9}};
    for (unsigned at = 0; at < sizeof nodes / sizeof *nodes; at++)
        need(!mknod(nodes[at].name, S_IFCHR | 0666, makedev(nodes[at].major, nodes[at].minor)), nodes[at].name);
    need(!symlink("/proc/self/fd", "dev/fd") && !symlink("/proc/self/fd/0", "dev/stdin") &&
             !symlink("/proc/self/fd/1", "dev/stdout") && !symlink("/proc/self/fd/2", "dev/stderr") &&
             !symlink("pts/ptmx", "dev/ptmx"),
         "symlink");
}

static void hide(void) {
    static const char *const masked[] = {"/proc/keys", "/proc/timer_list"};
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};
    need(!mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "make / read-only");
    for (unsigned at = 0; at < sizeof masked / sizeof *masked; at++)
        mount("/dev/null", masked[at], NULL, MS_BIND, NULL);
    for (unsigned at = 0; at < sizeof read_only / sizeof *read_only; at++)
        if (!mount(read_only[at], read_only[at], NULL, MS_BIND | MS_REC, NULL))
            mount(NULL, read_only[at], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static void become(const char *root) {
    for (int at = 0; at < joins; at++)
        need(write(tasks[at], "0", 1) == 1, "join");
    need(setsid() > 0, "setsid");
    make_mounts(root);
    make_nodes();
    need(!syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH), "change the root");
    hide();
    need(!sethostname("bench", 5), "sethostname");
    for (int capability = 14; capability < 41; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    char *program[] = {"/bin/true", NULL};
    execve(*program, program, program + 1);
    need(0, *program);
}

int main(int count, char **arguments) {
    int unified = -1, status = 0, pidfd = -1;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    need(count > 1 && count - 2 <= MOST, "usage: floor ROOT GROUP...");
    for (int at = 2; at < count; at++) {
        char path[4096];
        need(!mkdir(arguments[at], 0755), arguments[at]);
        limit(arguments[at]);
        snprintf(path, sizeof path, "%s/tasks", arguments[at]);
        int file = open(path, O_WRONLY | O_CLOEXEC);
        if (file >= 0)
            tasks[joins++] = file;
        else
            unified = open(arguments[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    struct clone_args how = {.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
                                      CLONE_NEWNET | (unified < 0 ? 0 : CLONE_INTO_CGROUP),
                             .pidfd = (uint64_t)(uintptr_t)&pidfd,
                             .exit_signal = SIGCHLD,
                             .cgroup = unified < 0 ? 0 : (uint64_t)unified};
    pid_t child = syscall(SYS_clone3, &how, sizeof how);
    need(child >= 0, "clone3");
    if (child == 0)
        become(arguments[1]);
    need(waitpid(child, &status, 0) == child, "wait");
    for (int at = 2; at < count; at++)
        need(!rmdir(arguments[at]), arguments[at]);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
    return status != 0;
}
