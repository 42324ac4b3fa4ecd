//! An installed version that is known to break.
//!
//! *What it sees*: versions of runc, containerd, docker and of the kernel, compared with a table.
//!
//! *Why it happens*: see the row. A version alone breaks nothing, so this is a notice; beside another finding it is
//! often the cause.
//!
//! *How to confirm*: `runc --version`, `containerd --version`, `docker version`, `uname -r`. Distributions repair some
//! of these without a new number: look into the package's changelog.
//!
//! *What to do*: install the version of the row.
//!
//! *What that costs*: of containerd and docker a restart, and containers that run keep their old shim until they are
//! started again; of the kernel a reboot.
//!
//! Source: the causes of the failure classes named in the rows.

use crate::finding::{Finding, Severity};
use crate::remedy::Remedy;
use crate::snapshot::Package;
use crate::version::Version;
use crate::view::View;

/// From the first bad version to the first good one.
type Range = (&'static str, &'static str);

/// Versions of one program; a release line that was repaired later than another has a range of its own.
struct Row {
    program: &'static str,
    ranges: &'static [Range],
    class: &'static str,
    what: &'static str,
}

const fn row(
    program: &'static str,
    ranges: &'static [Range],
    class: &'static str,
    what: &'static str,
) -> Row {
    Row { program, ranges, class, what }
}

const TABLE: &[Row] = &[
    row(
        "runc",
        &[("0", "1.0.0-rc91")],
        "EX-01",
        "rewrites state.json in place: execs fail with EOF while it is updated",
    ),
    row(
        "runc",
        &[("1.1.3", "1.1.4")],
        "EX-23",
        "takes the right to open terminals away at systemctl daemon-reload",
    ),
    row(
        "runc",
        &[("1.0.0-rc2", "1.0.0-rc9")],
        "EX-07",
        "says `exit status N` without a word; `sluice-doctor explain` knows the number",
    ),
    row("runc", &[("0", "1.1.0")], "EX-10", "lets an exec into a paused container hang without a word"),
    row(
        "runc",
        &[("1.3.1", "1.3.5"), ("1.4.0", "1.4.1")],
        "ST-02",
        "says that a container has stopped while it is being started",
    ),
    row("runc", &[("1.2.0", "1.2.6")], "EX-13", "cannot exec into a container with a time namespace"),
    row(
        "runc",
        &[("1.3.0", "1.3.6"), ("1.4.0", "1.4.2"), ("1.5.0-rc1", "1.5.0-rc3")],
        "EX-15",
        "loses the exit of a very short command: exec hangs",
    ),
    row(
        "containerd",
        &[("1.6.21", "1.6.22"), ("1.7.1", "1.7.3")],
        "EX-30",
        "one lock around the shim's events: execs wait for each other",
    ),
    row(
        "containerd",
        &[("1.6.29", "1.6.36"), ("1.7.14", "1.7.22")],
        "EX-31",
        "never reports the end of a container in which an exec failed to start at that moment",
    ),
    // 1.6 has it too, and no release without: there its distributor tells.
    row(
        "containerd",
        &[("1.7.0", "1.7.29"), ("2.0.0", "2.0.7"), ("2.1.0", "2.1.5")],
        "EX-33",
        "keeps a part of each attach of a kubelet for ever",
    ),
    row(
        "containerd",
        &[("2.3.0", "2.3.2")],
        "IN-08",
        "tears new containers down when a shim answers after two seconds",
    ),
    // Source: moby#30340, which v17.04.0-ce has and 17.03 has not; the code before it is 1.12's.
    row(
        "docker",
        &[("1.12.0", "17.4.0")],
        "EX-33",
        "keeps a part of each exec whose program cannot be started for ever",
    ),
    row("docker", &[("0", "17.6.0")], "EX-24", "leaves the fifos of failed execs behind until /run is full"),
    row(
        "docker",
        &[("1.11.0", "1.13.0")],
        "EX-53",
        "forgets the process of a running container when containerd restarts",
    ),
    row("docker", &[("1.13.1-84", "1.13.1-88")], "EX-39", "crashes at every exec on a host in FIPS mode"),
    row("docker", &[("1.13.0", "18.6.0")], "IN-03", "`docker ps` hangs behind the lock of one container"),
    row(
        "docker",
        &[("0", "20.10.10")],
        "EX-36",
        "answers EPERM to system calls that its seccomp profile does not know, as `clone3` of new C libraries",
    ),
    row("kernel", &[("4.4.0-109", "4.4.0-110")], "EX-08", "setns fails for processes that join namespaces"),
    row(
        "kernel",
        &[("3.10.0", "3.10.0-1075")],
        "ST-05",
        "leaks memory groups with kernel memory accounting: creating them fails at 65535",
    ),
];

/// The classes of the table.
pub(super) const CLASSES: &[&str] = &[
    "EX-01", "EX-07", "EX-08", "EX-10", "EX-13", "EX-15", "EX-23", "EX-24", "EX-30", "EX-31", "EX-33",
    "EX-36", "EX-39", "EX-53", "IN-03", "IN-08", "ST-02", "ST-05",
];

/// Package names, by the program they bring.
const PACKAGES: &[(&str, &str)] = &[
    ("runc", "runc"),
    ("docker-runc", "runc"),
    ("containerd", "containerd"),
    ("containerd.io", "containerd"),
    ("docker.io", "docker"),
    ("docker-ce", "docker"),
    ("docker", "docker"),
    ("docker-engine", "docker"),
    ("moby-engine", "docker"),
];

pub(super) fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &view.snapshot.packages {
        let name = package.name.rsplit('/').next().unwrap_or_default();
        if is_the_tray(package) {
            continue;
        }
        if let Some((_, program)) = PACKAGES.iter().find(|row| row.0 == name) {
            findings.extend(bad(program, &package.version, &format!("{} ({})", package.name, package.from)));
        }
    }
    findings.extend(bad("kernel", &view.snapshot.host.kernel, "uname -r"));
    findings
}

/// Debian's package `docker` 1.5 is a tray for icons.
fn is_the_tray(package: &Package) -> bool {
    package.from == "dpkg" && package.name == "docker" && package.version.starts_with("1.5-")
}

fn bad(program: &str, text: &str, from: &str) -> Vec<Finding> {
    let Some(version) = Version::parse(text) else { return Vec::new() };
    let rows = TABLE.iter().filter(|row| row.program == program);
    rows.filter_map(|row| Some(finding(row, good(row, &version)?, text, from))).collect()
}

/// The first good version of the range that a bad one is in.
fn good(row: &Row, version: &Version) -> Option<&'static str> {
    let holds = |(from, below): &&Range| {
        Version::parse(from).is_some_and(|from| from <= *version)
            && Version::parse(below).is_some_and(|below| *version < below)
    };
    row.ranges.iter().find(holds).map(|range| range.1)
}

fn finding(row: &Row, good: &str, text: &str, from: &str) -> Finding {
    let title = format!("{} {text} {}", row.program, row.what);
    Finding::new("known_bad", &format!("{}/{}", row.program, row.class), Severity::Notice, title)
        .class(row.class)
        .evidence(from, text)
        .remedy(
            Remedy::advise("upgrade", format!("install {} {good} or newer", row.program))
                .costs(cost(row.program)),
        )
}

fn cost(program: &str) -> &'static str {
    match program {
        "kernel" => "a reboot",
        "runc" => "nothing; the next exec has the new one",
        _ => "a restart of the daemon; containers that run keep their old shim",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_the_table_is_said_to_be_there() {
        let mut classes: Vec<&str> = TABLE.iter().map(|row| row.class).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes, CLASSES);
    }

    #[test]
    fn a_tray_for_icons_is_no_container_engine() {
        let package = |version: &str| Package {
            name: "docker".to_owned(),
            version: version.to_owned(),
            from: "dpkg".to_owned(),
        };
        assert!(is_the_tray(&package("1.5-2")) && !is_the_tray(&package("1.13.1-84")));
    }

    #[test]
    fn the_first_good_version_is_good_and_the_last_bad_one_bad() {
        let table = [
            ("runc", "1.0.0~rc6+dfsg1-3", 3),
            ("runc", "1.0.0~rc90+ds1-1", 2),
            ("runc", "1.0.0~rc91+ds1-1", 1),
            ("runc", "1.1.0+ds1-1", 0),
            ("runc", "1.1.5+ds1-1+deb12u1", 0),
            ("runc", "1.3.4-0ubuntu1", 2),
            ("runc", "1.3.5-0ubuntu1", 1),
            ("runc", "1.3.6", 0),
            ("containerd", "1.6.20~ds1-1+deb12u1", 0),
            ("containerd", "1.6.21-1", 1),
            ("containerd", "1.6.28", 0),
            ("containerd", "1.6.29", 1),
            ("containerd", "1.6.36~ds1-1", 0),
            ("containerd", "1.7.2", 2),
            ("containerd", "1.7.3", 1),
            ("containerd", "1.7.21", 2),
            ("containerd", "1.7.28", 1),
            ("containerd", "1.7.29", 0),
            ("containerd", "2.0.6", 1),
            ("containerd", "2.0.7", 0),
            ("containerd", "2.1.4", 1),
            ("containerd", "2.1.5", 0),
            ("containerd", "2.2.0", 0),
            ("containerd", "2.3.1", 1),
            ("containerd", "2.3.2", 0),
            ("docker", "20.10.24+dfsg1-1+deb12u1", 0),
            ("docker", "20.10.5+dfsg1-1+deb11u2", 1),
            ("docker", "5:18.06.3~ce~3-0~debian", 1),
            ("docker", "1.12.6-0~debian-stretch", 4),
            ("docker", "2:1.13.1-84.git07f3374.el7.centos", 5),
            ("docker", "17.03.2~ce-0~debian-stretch", 4),
            ("docker", "17.04.0~ce-0~debian-stretch", 3),
            ("docker", "17.05.0~ce-0~debian", 3),
            ("kernel", "4.4.0-109-generic", 1),
            ("kernel", "4.4.0-110-generic", 0),
            ("kernel", "3.10.0-957.el7.x86_64", 1),
            ("kernel", "3.10.0-1160.el7.x86_64", 0),
            ("kernel", "6.1.0-18-amd64", 0),
        ];
        for (program, text, expected) in table {
            assert_eq!(bad(program, text, "test").len(), expected, "{program} {text}");
        }
    }

    #[test]
    fn the_good_version_is_of_the_same_release_line() {
        let advised = |version: &str| -> Vec<String> {
            bad("runc", version, "test").into_iter().map(|it| it.remedies[0].what.clone()).collect()
        };
        assert_eq!(advised("1.4.1"), ["install runc 1.4.2 or newer"]);
        assert_eq!(advised("1.3.5"), ["install runc 1.3.6 or newer"]);
    }

    #[test]
    fn another_kernel_costs_a_reboot() {
        let kernel = bad("kernel", "4.4.0-109-generic", "uname -r");
        assert_eq!(kernel[0].remedies[0].cost, "a reboot");
    }
}
