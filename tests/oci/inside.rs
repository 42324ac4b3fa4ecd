//! What a process finds around it, in create and in exec: ours beside the reference, every difference explained.

use testkit::{Config, Container, Lab, Runtime, partner, require_root};

/// Prints sections that start with `== NAME`.
const DUMP: &str = r#"
echo == environment; env | sort
echo == dev; find /dev | sort | while read f; do stat -c '%n %F %a %u %g %t %T' $f; readlink $f; done
echo == status; cat /proc/self/status
echo == limits; cat /proc/self/limits
echo == mountinfo; cat /proc/self/mountinfo
echo == cgroup; cat /proc/self/cgroup
echo == keys; cat /proc/keys
echo == descriptors; ls /proc/self/fd
echo == rest; for f in oom_score_adj coredump_filter personality attr/current loginuid timerslack_ns setgroups; do echo $f $(cat /proc/self/$f 2>&1); done
echo == session; cut -d' ' -f7,8 /proc/self/stat; umask; pwd; hostname
"#;

/// Lines of `/proc/self/status` that differ from run to run.
const VARYING: [&str; 15] = [
    "Pid:",
    "Tgid:",
    "PPid:",
    "Ngid:",
    "NStgid:",
    "NSpid:",
    "NSpgid:",
    "NSsid:",
    "Vm",
    "Rss",
    "Hugetlb",
    "FDSize:",
    "SigQ:",
    "voluntary_ctxt",
    "nonvoluntary_ctxt",
];

/// Differences that are meant: section, a piece of the line, whose line it is, why.
const EXPLAINED: [(&str, &str, Runtime, &str); 0] = [];

#[test]
fn create_and_exec_look_the_same_from_inside() {
    require_root!();
    let (Some(reference), Some(ours)) = (Runtime::Runc.find(), Runtime::Sluice.find()) else {
        partner::skip("both runtimes are compared");
        return;
    };
    let theirs = dumps(&Lab::new(Runtime::Runc, reference));
    let mine = dumps(&Lab::new(Runtime::Sluice, ours));
    let mut unexplained = String::new();
    for (at, place) in ["create", "exec", "exec as a user"].into_iter().enumerate() {
        unexplained
            .extend(differences(&theirs[at], &mine[at]).into_iter().map(|line| format!("{place}: {line}\n")));
    }
    assert!(unexplained.is_empty(), "differences without an explanation:\n{unexplained}");
}

/// The dump of init, of an exec and of an exec by a user.
fn dumps(lab: &Lab) -> [String; 3] {
    let config = Config::new()
        .set("/linux/maskedPaths", serde_json::json!(["/proc/kcore", "/sys/firmware"]))
        .set(
            "/process/rlimits",
            // Two equal numbers of files: the reference passes a soft limit on as Go has raised it, to the hard one.
            serde_json::json!([
                {"type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152},
                {"type": "RLIMIT_NOFILE", "soft": 2000, "hard": 2000},
            ]),
        )
        .namespace("cgroup", None)
        .mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]);
    let c = lab.bundle(&config.script(&format!("{DUMP}\nexec sleep 1000000")));
    let creating = c.create_with(&[]).spawn();
    testkit::hang::eventually("create to return", || creating.has_ended());
    c.start().ok();
    testkit::hang::eventually("the dump", || creating.stdout().contains("== session"));
    testkit::hang::eventually("init to sleep", || testkit::process::status_line(c.pid(), "Name") == "sleep");
    let init = creating.wait().ok().stdout;
    let exec = c.exec(&["sh", "-c", DUMP]).ok().stdout;
    let user = c.exec_with(&["--user", "1000:1000"], &["sh", "-c", DUMP]).ok().stdout;
    let dumps = [init, exec, user].map(|text| normalise(&c, &text));
    c.delete_force().ok();
    lab.assert_nothing_left();
    dumps
}

/// Takes out what differs from run to run: ids, serial numbers, device numbers, names of the lab.
fn normalise(c: &Container, text: &str) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in text.lines() {
        section = line.strip_prefix("== ").unwrap_or(section);
        let varies = match section {
            "status" => VARYING.iter().any(|prefix| line.starts_with(prefix)),
            // Root sees the keyrings of all containers of its user namespace.
            "keys" => line.contains("_ses.") && !line.contains(c.id()),
            _ => false,
        };
        if varies {
            continue;
        }
        let line = line
            .replace(c.bundle().to_str().unwrap(), "BUNDLE")
            .replace(&c.group(), "GROUP")
            .replace(c.id(), "ID");
        lines.push(match section {
            "mountinfo" if line.contains(" - ") => line.split(' ').skip(3).collect::<Vec<_>>().join(" "),
            // 32 and 33 belong to C libraries; whether they are ignored is the caller's doing and Go's.
            "status" if line.starts_with("SigIgn:") => {
                line.replace("180000000", "000000000").replace("80000000", "00000000")
            }
            "keys" if !line.starts_with("==") => {
                line.split_whitespace().skip(4).collect::<Vec<_>>().join(" ")
            }
            _ => line,
        });
    }
    lines.join("\n")
}

/// Lines that only one of them has and no explanation covers, with their section.
fn differences(theirs: &str, mine: &str) -> Vec<String> {
    let mut found = missing(theirs, mine, Runtime::Runc);
    found.extend(missing(mine, theirs, Runtime::Sluice));
    found
}

fn missing(from: &str, other: &str, whose: Runtime) -> Vec<String> {
    let other = sections(other);
    let lines = sections(from).into_iter().filter(|line| !other.contains(line));
    let unexplained = lines.filter(|(section, line)| {
        !EXPLAINED.iter().any(|(at, piece, who, _)| at == section && line.contains(piece) && *who == whose)
    });
    unexplained.map(|(section, line)| format!("only {} [{section}] {line}", whose.name())).collect()
}

fn sections(text: &str) -> Vec<(&str, &str)> {
    let mut section = "";
    let labelled = text.lines().map(|line| {
        section = line.strip_prefix("== ").unwrap_or(section);
        (section, line)
    });
    labelled.collect()
}
