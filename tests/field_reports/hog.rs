//! A program that takes memory by page faults: the only way to sleep in the kernel's OOM wait.

use testkit::{Container, Lab, compile};

/// Touches `argv[1]` KiB, makes `/ready` and sleeps.
const SOURCE: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    size_t size = strtoul(argv[1], 0, 10) * 1024;
    volatile char *memory = malloc(size);
    for (size_t at = 0; at < size; at += 4096) memory[at] = 1;
    close(open("/ready", O_CREAT | O_WRONLY, 0600));
    for (;;) pause();
}
"#;

/// Puts the program into the container's root as `/bin/hog`.
pub(crate) fn install(lab: &Lab, c: &Container) {
    let program = lab.path("io/hog");
    if !program.exists() {
        compile::compile(&lab.path("io"), "hog", SOURCE);
    }
    std::fs::copy(program, c.rootfs("/bin/hog")).unwrap();
}
