//! `passwd` and `group` of an image: any text is read, and a user found by id has that id.

pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for user in proc::passwd::parse(&text) {
        let found = proc::passwd::by_uid(&text, user.uid);
        assert!(found.is_some_and(|found| found.uid == user.uid), "uid {} is lost", user.uid);
        let _ = proc::group::groups_of(&text, &user.name);
    }
    assert!(proc::group::parse(&text).len() <= text.lines().count(), "more groups than lines");
}
