/* Builds filters with the installed libseccomp, for oracle.rs. One request per line on stdin:
 *
 *   resolve ARCH NAME                          -> the number, as a line
 *   begin NATIVE DEFAULT OPTIMIZE              -> nothing
 *   arch ARCH                                  -> nothing
 *   rule ACTION NAME [INDEX OP VALUE VALUE2]*  -> nothing
 *   end                                        -> error (0: none) and length in bytes, as a line; the filter
 *
 * Tokens and actions are libseccomp's, in hexadecimal. */
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static scmp_filter_ctx filter;
static int error;

static void note(int result) {
    if (result < 0 && error == 0)
        error = result;
}

static void begin(uint32_t native, uint32_t action, uint32_t optimize) {
    error = 0;
    filter = seccomp_init(action);
    if (native != seccomp_arch_native()) {
        note(seccomp_arch_remove(filter, seccomp_arch_native()));
        note(seccomp_arch_add(filter, native));
    }
    note(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, optimize));
}

/* An architecture may be named twice, and the native one is there already. */
static void add_arch(uint32_t arch) {
    if (seccomp_arch_exist(filter, arch) != 0)
        note(seccomp_arch_add(filter, arch));
}

static void rule(char *words) {
    struct scmp_arg_cmp conditions[6];
    unsigned count = 0;
    uint32_t action = strtoul(strtok_r(words, " ", &words), NULL, 16);
    int number = seccomp_syscall_resolve_name(strtok_r(NULL, " ", &words));
    for (char *index; count < 6 && (index = strtok_r(NULL, " ", &words)); count++) {
        conditions[count].arg = strtoul(index, NULL, 16);
        conditions[count].op = strtoul(strtok_r(NULL, " ", &words), NULL, 16);
        conditions[count].datum_a = strtoull(strtok_r(NULL, " ", &words), NULL, 16);
        conditions[count].datum_b = strtoull(strtok_r(NULL, " ", &words), NULL, 16);
    }
    if (number != __NR_SCMP_ERROR)
        note(seccomp_rule_add_array(filter, action, number, count, conditions));
}

static void end(void) {
    static char program[1 << 20];
    FILE *file = tmpfile();
    size_t length = 0;
    if (error == 0)
        note(seccomp_export_bpf(filter, fileno(file)));
    rewind(file);
    if (error == 0)
        length = fread(program, 1, sizeof program, file);
    fclose(file);
    seccomp_release(filter);
    printf("%d %zu\n", error, length);
    fwrite(program, 1, length, stdout);
    fflush(stdout);
}

int main(void) {
    static char line[1 << 16], name[256];
    unsigned a, b, c;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "resolve %x %255s", &a, name) == 2) {
            printf("%d\n", seccomp_syscall_resolve_name_arch(a, name));
            fflush(stdout);
        } else if (sscanf(line, "begin %x %x %x", &a, &b, &c) == 3)
            begin(a, b, c);
        else if (sscanf(line, "arch %x", &a) == 1)
            add_arch(a);
        else if (strncmp(line, "rule ", 5) == 0)
            rule(line + 5);
        else if (strcmp(line, "end") == 0)
            end();
        else
            return 1;
    }
    return 0;
}
