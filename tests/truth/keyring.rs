//! The session keyring when its owner's quota is used up.

use testkit::{Config, compile};

use crate::refusal::{create_refused, refused};
use crate::truth;

/// A user of this test's own: the quota is counted for each user of the host.
const OWNER: u32 = 61_232_000;

/// Makes keys as the given user until the quota is used up, then holds them.
const HOARDER: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    char name[32];
    uid_t user = atoi(words[1]);
    if (setresuid(user, user, user)) return 1;
    for (int at = 0; ; at++) {
        snprintf(name, sizeof name, "hoard%d", at);
        if (syscall(SYS_add_key, "user", name, "x", 1, -2) < 0) break;
    }
    if (errno != EDQUOT) return 2;
    write(1, "full\n", 5);
    for (;;) pause();
}
"#;

truth! {
    fn a_full_quota_stops_create_and_not_exec(lab) {
        let config = Config::new().user_namespace(OWNER);
        let [before, after] = [lab.bundle(&config), lab.bundle(&config)];
        before.create().ok();
        before.start().ok();
        let hoarder = compile::compile(&lab.path(""), "hoarder", HOARDER);
        let hoard = lab.program(hoarder).args([OWNER.to_string()]).spawn();
        hoard.wait_stdout("full");
        before.exec(&["true"]).ok();
        refused(lab, &before, &[], &["/no/such"], "exec: \"/no/such\": no such file or directory");
        let text = format!(
            "exec: the session keyring cannot be made: the key quota of uid {OWNER} is used up (/proc/key-users, /proc/sys/kernel/keys)"
        );
        create_refused(lab, &after, &text);
    }
}
