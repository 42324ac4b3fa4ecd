//! A state file that is not what was written: named with its place, and `delete --force` still removes everything.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Config, Container, Lab, conformance, hierarchy, process};

use crate::{leftovers, ours};

fn state_file(lab: &Lab, container: &Container<'_>) -> PathBuf {
    lab.root().join(container.id()).join("state.json")
}

/// Changes the record as a person with an editor would.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// What is done to the text, and a word of the answer.
type Damage = (&'static str, fn(&[u8]) -> Vec<u8>, &'static str);

const DAMAGES: [Damage; 12] = [
    ("emptied", |_| Vec::new(), "at byte 0: the file is empty"),
    ("cut in half", |text| text[..text.len() / 2].to_vec(), "at byte "),
    ("cut by its last byte", |text| text[..text.len() - 1].to_vec(), "at byte "),
    ("first byte flipped", |text| flipped(text, 0), "at byte "),
    ("a quote flipped", |text| flipped(text, 1), "at byte 1"),
    ("a byte of a key flipped", |text| flipped(text, find(text, "phase")), "missing field `phase`"),
    ("zeros", |text| vec![0; text.len()], "at byte 0"),
    ("not UTF-8", |text| replaced(text, "\"id\":\"", b"\"id\":\"\xff\xfe"), "at byte "),
    ("pid a string", |text| replaced(text, "\"pid\":", b"\"pid\":\"x\",\"p\":"), "pid"),
    ("written twice", |text| text.repeat(2), "trailing characters"),
    ("deep nesting", |_| b"[".repeat(200_000), "at byte "),
    (
        "another container's",
        |text| replaced(text, "\"id\":\"", b"\"id\":\"other-"),
        "it belongs to container",
    ),
];

fn flipped(text: &[u8], at: usize) -> Vec<u8> {
    let mut text = text.to_vec();
    text[at] ^= 0x20;
    text
}

fn find(text: &[u8], word: &str) -> usize {
    text.windows(word.len()).position(|window| window == word.as_bytes()).unwrap()
}

fn replaced(text: &[u8], word: &str, by: &[u8]) -> Vec<u8> {
    let at = find(text, word);
    [&text[..at], by, &text[at + word.len()..]].concat()
}

#[test]
fn a_damaged_state_is_named_with_its_place_and_deleted_whole() {
    ours(|lab| {
        for (name, damage, words) in DAMAGES {
            let c = lab.sleeper();
            let path = state_file(lab, &c);
            let pid = c.pid();
            fs::write(&path, damage(&fs::read(&path).unwrap())).unwrap();
            for verb in ["state", "pause", "delete", "start"] {
                c.verb(verb, &[], &[]).run().code(1).says(path.to_str().unwrap()).says(words);
            }
            c.exec(&["true"]).code(255).says(path.to_str().unwrap()).says("delete --force");
            lab.run(&["list"]).says(path.to_str().unwrap());
            assert!(process::is_alive(pid), "{name}: nothing was killed by a refusal");
            c.delete_force().ok();
            leftovers::assert_none(lab, &c.group(), name);
        }
    });
}

#[test]
fn a_missing_state_file_is_named_and_the_container_deleted_whole() {
    ours(|lab| {
        let c = lab.sleeper();
        let path = state_file(lab, &c);
        fs::remove_file(&path).unwrap();
        c.verb("state", &[], &[]).run().code(1).says(path.to_str().unwrap()).says("missing");
        c.delete_force().ok();
        leftovers::assert_none(lab, &c.group(), "a missing state.json");
    });
}

#[test]
fn without_any_record_the_directory_goes_and_that_is_said() {
    ours(|lab| {
        let c = lab.sleeper();
        for name in ["state.json", "rescue.json"] {
            fs::write(lab.root().join(c.id()).join(name), "{").unwrap();
        }
        c.delete_force().ok().says("its copy is lost too");
        hierarchy::destroy(&c.group());
        assert!(!lab.root().join(c.id()).exists());
    });
}

#[test]
fn a_newer_format_is_refused_by_name_even_by_force() {
    ours(|lab| {
        let c = lab.sleeper();
        let path = state_file(lab, &c);
        let whole = fs::read(&path).unwrap();
        for unreadable in [false, true] {
            edit(&path, |state| {
                state["format"] = json!(7);
                state["writer"] = json!("sluice 9.9.9");
                if unreadable {
                    state["init"] = json!("in a way of its own");
                }
            });
            for verb in [&["state"][..], &["delete"], &["delete", "--force"]] {
                let refused = c.verb(verb[0], &verb[1..], &[]).run().code(1);
                refused
                    .says("state format 7 written by sluice 9.9.9")
                    .says("this version knows formats up to 1");
            }
        }
        fs::write(&path, whole).unwrap();
    });
}

#[test]
fn unknown_fields_of_a_later_writer_are_no_obstacle() {
    ours(|lab| {
        let c = lab.sleeper();
        edit(&state_file(lab, &c), |state| state["later"] = json!({"some": ["thing"]}));
        assert_eq!(c.status(), "running");
        c.verb("update", &["--pids-limit", "50"], &[]).ok();
        c.exec(&["true"]).ok();
    });
}

#[test]
fn directories_of_other_runtimes_are_named_and_left_alone() {
    let runc = r#"{"id":"x","init_process_pid":1,"init_process_start":5,"created":"2024-01-01T00:00:00Z","config":{}}"#;
    let youki = r#"{"ociVersion":"v1.0.2","id":"x","status":"running","useSystemd":true,"bundle":"/b"}"#;
    ours(|lab| {
        for (runtime, file, text) in
            [("runc", "state.json", runc), ("crun", "status", "{}"), ("youki", "state.json", youki)]
        {
            let directory = lab.root().join(runtime);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(file), text).unwrap();
            for arguments in [&["state", runtime][..], &["delete", "--force", runtime], &["start", runtime]] {
                lab.run(arguments)
                    .code(1)
                    .says(&format!("holds the state of {runtime}"))
                    .says("another --root");
            }
            assert!(directory.join(file).exists());
            fs::remove_dir_all(directory).unwrap();
        }
    });
}

#[test]
fn a_state_root_that_is_none_is_named() {
    ours(|lab| {
        let file = lab.write("no-directory", "");
        for verb in [&["list"][..], &["state", "x"], &["delete", "--force", "x"]] {
            let ran = lab.program(lab.binary()).args(["--root"]).args([&file]).args(verb).run();
            ran.code(1).says(file.to_str().unwrap());
        }
    });
}

conformance! {
    fn an_id_that_is_a_path_is_refused(lab) {
        let c = lab.bundle(&Config::new());
        let bundle = c.bundle().display().to_string();
        for id in ["a/b", "../x", "/etc", ".", "..", "", "a b"] {
            let refused = lab.run(&["create", "--bundle", &bundle, id]);
            assert_eq!(refused.status.code(), Some(1), "{refused}");
            let refused = lab.run(&["delete", "--force", id]);
            assert!(lab.is_reference() || refused.status.code() == Some(1), "{refused}");
        }
        assert!(hierarchy::existing(&c.group()).is_empty());
        assert_eq!(fs::read_dir(lab.root()).unwrap().count(), 0);
    }
}
