//! The mounts that containerd's snapshotter asks for.

use containerd_shim_protos::api::{CreateTaskResponse, DeleteResponse, Mount};
use protobuf::well_known_types::empty::Empty;
use ttrpc::Code;

use crate::session::{Session, sessions};

/// An overlay of as many layers as asked for, on top the root of the first container; gives the options.
pub(crate) fn overlay(session: &Session<'_>, layers: usize) -> Vec<String> {
    let root = session.first().rootfs("");
    let moved = session.lab.path("layers/bottom");
    std::fs::create_dir_all(session.lab.path("layers")).unwrap();
    std::fs::rename(&root, &moved).unwrap();
    std::fs::create_dir(&root).unwrap();
    let name = |number: usize| format!("{number:03}-{}", "x".repeat(60));
    let mut lower: Vec<String> = (0..layers)
        .map(|number| {
            let layer = session.lab.path("layers").join(name(number));
            std::fs::create_dir(&layer).unwrap();
            session.lab.write(&format!("layers/{}/file{number}", name(number)), "here");
            layer.display().to_string()
        })
        .collect();
    lower.push(moved.display().to_string());
    let [upper, work] = ["upper", "work"].map(|part| {
        let path = session.lab.path(part);
        std::fs::create_dir(&path).unwrap();
        path.display().to_string()
    });
    let lower = lower.join(":");
    vec![format!("lowerdir={lower}"), format!("upperdir={upper}"), format!("workdir={work}")]
}

/// Creates and starts the first container on this root.
pub(crate) fn run_on(session: &Session<'_>, mount: Mount) {
    let mut request = session.create_request(session.first());
    request.rootfs = vec![mount];
    let _made: CreateTaskResponse = session.ok("Create", &request);
    session.start_process(session.first().id(), "").unwrap();
}

/// Kills and deletes the first container; its root must not be mounted afterwards.
pub(crate) fn remove(session: &Session<'_>) {
    let _killed: Empty = session.ok("Kill", &session.kill_request("", 9));
    session.wait("");
    let _gone: DeleteResponse = session.ok("Delete", &session.delete_request(""));
    assert_eq!(session.lab.mounts(), Vec::<std::path::PathBuf>::new());
}

sessions! {
    #[doc = "An overlay whose options are longer than a page."]
    fn an_overlay_of_many_layers_is_mounted(session) {
        let options = overlay(session, 60);
        assert!(options.iter().map(String::len).sum::<usize>() > 4096);
        let mount = Mount { type_: "overlay".into(), source: "overlay".into(), options, ..Mount::default() };
        run_on(session, mount);
        session.exec("first", &["/bin/sh", "-c", "[ -e /file0 ]"]);
        assert_eq!(session.wait("first"), 0);
        session.exec("last", &["/bin/sh", "-c", "[ -e /file59 ]"]);
        assert_eq!(session.wait("last"), 0);
        remove(session);
    }

    #[doc = "A bind mount that is read-only."]
    fn a_bind_mount_keeps_its_flags(session) {
        let root = session.first().rootfs("");
        let tree = session.lab.path("tree");
        std::fs::rename(&root, &tree).unwrap();
        std::fs::create_dir(&root).unwrap();
        let options = ["rbind", "ro"].map(String::from).to_vec();
        let source = tree.display().to_string();
        run_on(session, Mount { type_: "bind".into(), source, options, ..Mount::default() });
        session.exec("e", &["/bin/sh", "-c", "echo x > /written"]);
        assert_ne!(session.wait("e"), 0);
        assert!(!tree.join("written").exists());
        remove(session);
    }
}

sessions! {
    ours
    /// A mount that is refused leaves none behind, and no container.
    fn a_refused_mount_leaves_nothing(session) {
        let good = Mount { type_: "tmpfs".into(), source: "tmpfs".into(), ..Mount::default() };
        let bad = Mount { type_: "no-such-type".into(), source: "x".into(), ..Mount::default() };
        let mut request = session.create_request(session.first());
        request.rootfs = vec![good, bad];
        let text = session.refused("Create", &request, Code::UNKNOWN);
        assert!(text.contains("no-such-type"), "{text}");
        assert_eq!(session.lab.mounts(), Vec::<std::path::PathBuf>::new());
        session.refused("State", &session.state_request(""), Code::NOT_FOUND);
    }
}
