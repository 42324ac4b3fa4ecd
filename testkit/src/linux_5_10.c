/* linux-5.10 PROGRAM ARGUMENT...: runs PROGRAM with the system calls of Linux 5.10. Younger calls answer ENOSYS, younger
 * flags EINVAL and younger requests ENOTTY, as that kernel would. Ends as PROGRAM does; 99 is a failure of this program.
 *
 * A filter sees numbers and registers, not memory and not files: what a structure holds, cgroup.kill and other control
 * files stay those of the kernel that runs. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* process_madvise, the last one of 5.10. */
#define LAST_CALL 440
#define CLOSE_RANGE_CLOEXEC (1U << 2)          /* 5.11 */
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000U     /* 5.14 */
#define MOVE_MOUNT_SET_GROUP 0x00000100U       /* 5.15 */
#define SECCOMP_FLAG_WAIT_KILLABLE (1U << 5)   /* 5.19 */
#define MFD_NOEXEC_SEAL_OR_EXEC (8U | 16U)     /* 6.3 */
#define PIDFD_REQUESTS 0xff00U                 /* 6.11 */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define ERROR(number) ANSWER(SECCOMP_RET_ERRNO | (number))
/* The call `number` fails with `error` when its argument has one of `bits`; else the next rule decides. */
#define REFUSE(number, argument, bits, error) \
    LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 3), LOAD(args[argument]), \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1), ERROR(error)

static struct sock_filter rules[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_CALL, 0, 1),
    ERROR(ENOSYS),
    REFUSE(SYS_close_range, 2, CLOSE_RANGE_CLOEXEC, EINVAL),
    REFUSE(SYS_fsmount, 2, MOUNT_ATTR_NOSYMFOLLOW, EINVAL),
    REFUSE(SYS_move_mount, 4, MOVE_MOUNT_SET_GROUP, EINVAL),
    REFUSE(SYS_seccomp, 1, SECCOMP_FLAG_WAIT_KILLABLE, EINVAL),
    REFUSE(SYS_memfd_create, 1, MFD_NOEXEC_SEAL_OR_EXEC, EINVAL),
    /* The type is the second byte of a request; no other driver that a runtime speaks to has 0xff. */
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 4),
    LOAD(args[1]),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PIDFD_REQUESTS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PIDFD_REQUESTS, 0, 1),
    ERROR(ENOTTY),
    ANSWER(SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv) {
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (argc < 2) return 99;
    /* Not PR_SET_NO_NEW_PRIVS, which the container would inherit: root may load a filter without it. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("load the filter");
        return 99;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 99;
}
