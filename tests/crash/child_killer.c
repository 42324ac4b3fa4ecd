/* child-killer N FILE PROGRAM...: runs PROGRAM and kills its first child process, threads left aside, before the child's
 * N-th system call; FILE then holds N. With 0 nothing is killed, and FILE holds how many calls the child made until it executed a program or
 * PROGRAM ended. Ends as PROGRAM does; 99 is a failure of the tracer. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIRTHS (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

static void fail(const char *what) {
    perror(what);
    exit(99);
}

static void note(const char *file, long number) {
    FILE *out = fopen(file, "w");
    if (!out || fprintf(out, "%ld", number) < 0 || fclose(out)) fail("note");
}

/* Whether pid is a thread of the runtime. */
static int is_thread(pid_t pid, pid_t runtime) {
    char path[64], line[256];
    int group = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *in = fopen(path, "r");
    while (in && fgets(line, sizeof line, in))
        if (sscanf(line, "Tgid: %d", &group) == 1) break;
    if (in) fclose(in);
    return group == runtime;
}

int main(int argc, char **argv) {
    long limit = argc > 3 ? atol(argv[1]) : 0, entries = 0;
    int inside = 0, status;
    pid_t first = 0, runtime = fork();
    if (runtime == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execvp(argv[3], argv + 3);
        _exit(99);
    }
    if (waitpid(runtime, &status, 0) != runtime) fail("waitpid");
    if (ptrace(PTRACE_SETOPTIONS, runtime, 0, BIRTHS)) fail("PTRACE_SETOPTIONS");
    ptrace(PTRACE_CONT, runtime, 0, 0);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) fail("waitpid");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid != runtime) continue;
            if (limit == 0) note(argv[2], entries);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status), event = status >> 16;
        if (pid == runtime || (pid != first && is_thread(pid, runtime))) {
            ptrace(PTRACE_CONT, pid, 0, event || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
        } else if (!first) {
            first = pid;
            ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC);
            ptrace(PTRACE_SYSCALL, pid, 0, 0);
        } else if (pid != first || event == PTRACE_EVENT_EXEC) {
            ptrace(PTRACE_DETACH, pid, 0, 0);
        } else if (signal != (SIGTRAP | 0x80)) {
            ptrace(PTRACE_SYSCALL, pid, 0, signal == SIGSTOP ? 0 : signal);
        } else {
            inside = !inside;
            if (inside && ++entries == limit) {
                note(argv[2], limit);
                kill(pid, SIGKILL);
            }
            ptrace(PTRACE_SYSCALL, pid, 0, 0);
        }
    }
}
