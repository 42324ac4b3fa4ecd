/* Builds a seccomp filter with the installed libseccomp, and times the loading of filters. Standard input:
 *
 *   default RETURNS                            first; RETURNS as SECCOMP_RET_*, hexadecimal
 *   arch NAME                                  as libseccomp names it
 *   rule RETURNS NAME [INDEX OP VALUE VALUE2]*
 *   other FILE                                 another filter: struct sock_filter[]
 *   load BLOCKS COUNT                          last
 *
 * Answers with the lengths of both filters in instructions, then one line per block: the times of COUNT loads of the
 * one, then of the other, in nanoseconds. Each load happens in a fresh process. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sock_filter programs[2][65536];
static struct sock_fprog filters[2] = {{0, programs[0]}, {0, programs[1]}};

static void need(int condition, const char *what) {
    if (!condition) {
        perror(what);
        exit(1);
    }
}

static void read_filter(int which, int file) {
    ssize_t length = pread(file, programs[which], sizeof programs[which], 0);
    need(length > 0, "read a filter");
    filters[which].len = length / sizeof(struct sock_filter);
}

static void rule(scmp_filter_ctx filter, char *words) {
    struct scmp_arg_cmp conditions[6];
    unsigned count = 0;
    uint32_t returns = strtoul(strtok_r(words, " ", &words), NULL, 16);
    int number = seccomp_syscall_resolve_name(strtok_r(NULL, " ", &words));
    for (char *index; count < 6 && (index = strtok_r(NULL, " ", &words)); count++) {
        conditions[count].arg = strtoul(index, NULL, 10);
        conditions[count].op = strtoul(strtok_r(NULL, " ", &words), NULL, 10);
        conditions[count].datum_a = strtoull(strtok_r(NULL, " ", &words), NULL, 10);
        conditions[count].datum_b = strtoull(strtok_r(NULL, " ", &words), NULL, 10);
    }
    if (number != __NR_SCMP_ERROR)
        seccomp_rule_add_array(filter, returns, number, count, conditions);
}

static int64_t load(struct sock_fprog *filter) {
    int ends[2];
    int64_t took = -1;
    need(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        struct timespec from, to;
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        clock_gettime(CLOCK_MONOTONIC, &from);
        long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, filter);
        clock_gettime(CLOCK_MONOTONIC, &to);
        took = result ? -1 : (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
        _exit(write(ends[1], &took, sizeof took) != sizeof took);
    }
    close(ends[1]);
    need(read(ends[0], &took, sizeof took) == sizeof took && took >= 0, "load a filter");
    close(ends[0]);
    waitpid(child, NULL, 0);
    return took;
}

int main(void) {
    static char line[1 << 16], name[4096];
    scmp_filter_ctx filter = NULL;
    unsigned value, blocks, count;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "default %x", &value) == 1)
            filter = seccomp_init(value);
        else if (sscanf(line, "arch %4095s", name) == 1)
            seccomp_arch_add(filter, seccomp_arch_resolve_name(name));
        else if (strncmp(line, "rule ", 5) == 0)
            rule(filter, line + 5);
        else if (sscanf(line, "other %4095[^\n]", name) == 1) {
            int file = open(name, O_RDONLY);
            need(file >= 0, name);
            read_filter(1, file);
        } else if (sscanf(line, "load %u %u", &blocks, &count) == 2) {
            FILE *file = tmpfile();
            need(file && seccomp_export_bpf(filter, fileno(file)) == 0, "build a filter");
            read_filter(0, fileno(file));
            printf("%u %u\n", filters[0].len, filters[1].len);
            for (unsigned block = 0; block < 2 * blocks; block++) {
                for (unsigned index = 0; index < count; index++)
                    printf("%lld ", (long long)load(&filters[block % 2]));
                printf("\n");
            }
        }
    }
    return 0;
}
