//! Which tests run in the guest, and which of them never at the same time.
//!
//! A part is a file with the beginning of a test's full name in each line; `#` starts a comment. Every line must select
//! something, so that no line outlives its test.

use crate::failure::Failure;
use crate::vm::binaries::Test;
use crate::vm::options::Options;
use crate::vm::plan;

/// The beginnings of the names of tests, and what they contend for, so that two of them only slow each other down.
const LANES: &[(&str, &str)] = &[
    ("partners::docker", "docker"),
    ("partners::podman", "podman"),
    ("partners::containerd", "containerd"),
    ("shim", "shims"),
    ("doctor", "nodes"),
    ("field_reports", "limits"),
    // They restart systemd and its bus under everybody.
    ("systemd::bus::a_restart_of_bus_and_systemd_between_create_and_delete_is_no_matter", plan::ALONE),
    ("systemd::bus::a_create_during_a_restart_of_systemd_comes_to_an_end", plan::ALONE),
    ("systemd", "bus"),
    // No other group may have the processor then.
    ("v2::cpu::a_partition_takes_its_processor_from_the_host", plan::ALONE),
];

/// What needs no guest, and a browser that is larger than all the rest of it.
const ON_THE_HOST: &[&str] = &["doctor::page"];

/// The lanes that take longest; what is in them is begun first.
const LONG_LANES: &[&str] = &["docker", "podman"];

/// The tests that have stock daemons or podman in them, which have races of their own. What nextest does on the host
/// (`.config/nextest.toml`).
const WITH_STOCK_DAEMONS: &[&str] = &["partners", "shim", "doctor", "rootless::podman"];

/// Tests of our shim with a stock containerd before it or a stock runtime behind it.
const SHIM_WITH_STOCK_PARTS: &[&str] = &["shim::kubelet", "shim::wrapper"];

/// How the names of the cases end that show what runc does: it gives up on some waits after a tenth of a second, which
/// is short under emulation.
const STOCK_CASE: &str = "::runc";

/// The tests to run, and how many were left out for being marked `#[ignore]` or having nothing to do with a guest.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) tests: Vec<Test>,
    pub(super) skipped: usize,
}

/// Chooses by the part and the filters of the command line.
///
/// # Errors
/// When the part cannot be read or has a line that selects nothing, or when nothing is selected at all.
pub(super) fn select(all: Vec<Test>, options: &Options) -> Result<Selected, Failure> {
    let part = match &options.part {
        None => all,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| Failure::File {
                operation: "read",
                path: path.clone(),
                source,
            })?;
            part(all, &text)?
        }
    };
    let is_wanted = |test: &Test| !options.without.iter().any(|word| test.name().contains(word.as_str()));
    filtered(part.into_iter().filter(is_wanted).collect(), &options.filters)
}

/// The tests that a part lists.
fn part(all: Vec<Test>, text: &str) -> Result<Vec<Test>, Failure> {
    let rows: Vec<&str> = text.lines().map(row).filter(|row| !row.is_empty()).collect();
    let names: Vec<String> = all.iter().map(Test::name).collect();
    if let Some(row) = rows.iter().find(|row| !names.iter().any(|name| begins(name, row))) {
        return Err(Failure::Usage(format!("{row}: no test has a name that begins so")));
    }
    Ok(all.into_iter().filter(|test| rows.iter().any(|row| begins(&test.name(), row))).collect())
}

fn row(line: &str) -> &str {
    line.split_once('#').map_or(line, |(row, _)| row).trim()
}

/// Whether a name begins with whole words of a row.
fn begins(name: &str, row: &str) -> bool {
    name.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn filtered(tests: Vec<Test>, filters: &[String]) -> Result<Selected, Failure> {
    let wanted = |test: &Test| {
        let name = test.name();
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let is_skipped = |test: &Test| test.ignored || ON_THE_HOST.iter().any(|row| begins(&test.name(), row));
    let (skipped, tests): (Vec<_>, Vec<_>) = tests.into_iter().filter(wanted).partition(is_skipped);
    if tests.is_empty() {
        return Err(Failure::Usage(format!("no test is selected by {}", filters.join(" "))));
    }
    let (long, short): (Vec<_>, Vec<_>) = tests
        .into_iter()
        .partition(|test| lane(test).is_some_and(|lane| LONG_LANES.contains(&lane.as_str())));
    let tests = [long, short].concat();
    Ok(Selected { tests, skipped: skipped.len() })
}

/// The lane of a test, see [`LANES`].
pub(super) fn lane(test: &Test) -> Option<String> {
    let row = LANES.iter().find(|(row, _)| begins(&test.name(), row))?;
    Some(row.1.to_owned())
}

/// How often a test is run until it passes: once where all the code is ours.
pub(super) fn tries(test: &Test) -> u32 {
    let name = test.name();
    let has_stock_partner = SHIM_WITH_STOCK_PARTS.iter().any(|row| begins(&name, row));
    let speaks_to_ours_alone =
        test.binary.name == "shim" && test.test.ends_with("::sluice") && !has_stock_partner;
    let has_daemons = WITH_STOCK_DAEMONS.iter().any(|row| begins(&name, row)) && !speaks_to_ours_alone;
    let is_stock = has_daemons || test.test.ends_with(STOCK_CASE);
    1 + u32::from(is_stock)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::vm::binaries::Binary;

    use super::*;

    fn test(binary: &str, test: &str) -> Test {
        let binary = Binary { name: binary.to_owned(), path: PathBuf::new() };
        Test { binary, test: test.to_owned(), ignored: false }
    }

    fn all() -> Vec<Test> {
        let soak = Test { ignored: true, ..test("crash", "soak::d") };
        vec![test("oci", "exec::a"), test("oci", "exec_log::b"), test("truth", "pids::c"), soak]
    }

    fn names(tests: &[Test]) -> Vec<String> {
        tests.iter().map(Test::name).collect()
    }

    #[test]
    fn a_row_selects_by_whole_words() {
        let text = "# words about it\noci::exec   # one module\n\ntruth\n";
        assert_eq!(names(&part(all(), text).unwrap()), ["oci::exec::a", "truth::pids::c"]);
    }

    #[test]
    fn a_row_that_selects_nothing_is_an_error() {
        let error = part(all(), "oci\noci::gone\n").unwrap_err().to_string();
        assert!(error.contains("oci::gone"), "{error}");
    }

    #[test]
    fn filters_are_pieces_of_names_and_skipped_tests_are_counted() {
        let all = [all(), vec![test("doctor", "page::e")]].concat();
        let chosen = filtered(all, &["exec", "soak", "page"].map(str::to_owned)).unwrap();
        assert_eq!(names(&chosen.tests), ["oci::exec::a", "oci::exec_log::b"]);
        assert_eq!(chosen.skipped, 2);
    }

    #[test]
    fn what_takes_longest_is_begun_first_and_one_at_a_time() {
        let all = vec![test("oci", "a"), test("partners", "docker::b"), test("partners", "podman::c")];
        let chosen = filtered(all, &[]).unwrap();
        assert_eq!(names(&chosen.tests), ["partners::docker::b", "partners::podman::c", "oci::a"]);
        let lanes: Vec<_> = chosen.tests.iter().map(lane).collect();
        assert_eq!(lanes, [Some("docker".to_owned()), Some("podman".to_owned()), None]);
    }

    #[test]
    fn only_what_has_stock_parts_is_tried_twice() {
        assert_eq!(tries(&test("partners", "docker::a::sluice")), 2);
        assert_eq!(tries(&test("oci", "exec::a::runc")), 2);
        assert_eq!(tries(&test("shim", "io::a")), 2);
        assert_eq!(tries(&test("rootless", "podman::a::sluice")), 2);
        assert_eq!(tries(&test("rootless", "exec::a::sluice")), 1);
        assert_eq!(tries(&test("shim", "states::a::sluice")), 1);
        assert_eq!(tries(&test("shim", "kubelet::a::sluice")), 2);
        assert_eq!(tries(&test("oci", "exec::a::sluice")), 1);
        assert_eq!(tries(&test("truth", "pids::a")), 1);
    }

    #[test]
    fn nothing_selected_is_an_error() {
        assert!(filtered(all(), &["nope".to_owned()]).is_err());
        assert!(filtered(all(), &["soak".to_owned()]).is_err());
    }
}
