//! Mounts whose owners are mapped: the root of a container with a user namespace, as containerd 2.x asks for it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use containerd_shim_protos::api::Mount;
use serde_json::json;
use testkit::Config;
use testkit::old_kernel::release;
use ttrpc::Code;

use crate::rootfs::{overlay, remove, run_on};
use crate::session::{Session, sessions};

/// The first Linux with overlays of mapped layers.
const OVERLAY: (u32, u32) = (5, 19);

/// The first Linux with mapped mounts.
const MOUNT: (u32, u32) = (5, 12);

/// As containerd writes them, with ids 0 to 999 elsewhere than the others.
const OPTIONS: [&str; 2] =
    ["uidmap=0:100000:1000,1000:300000:64536", "gidmap=0:200000:1000,1000:400000:64536"];

/// Gives the first container the user namespace that [`OPTIONS`] are about.
fn enter_user_namespace(session: &Session<'_>) {
    let range = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let config = Config::new()
        .namespace("user", None)
        .set("/linux/uidMappings", json!([range(0, 100_000, 1000), range(1000, 300_000, 64536)]))
        .set("/linux/gidMappings", json!([range(0, 200_000, 1000), range(1000, 400_000, 64536)]))
        .set("/linux/cgroupsPath", json!(session.first().group()));
    session.first().write_config(&config);
}

/// An overlay of so many layers with mapped owners.
fn mapped_overlay(session: &Session<'_>, layers: usize) -> Mount {
    let options = overlay(session, layers);
    let root = session.lab.path("upper");
    chown(root, Some(100_000), Some(200_000)).unwrap();
    mapped("overlay", "overlay", options)
}

fn mapped(kind: &str, source: &str, options: Vec<String>) -> Mount {
    let options = OPTIONS.map(String::from).into_iter().chain(options).collect();
    Mount { type_: kind.into(), source: source.into(), options, ..Mount::default() }
}

/// The tree that is the root of the first container, somewhere else.
fn moved_root(session: &Session<'_>) -> String {
    let (root, tree) = (session.first().rootfs(""), session.lab.path("tree"));
    fs::rename(&root, &tree).unwrap();
    fs::create_dir(&root).unwrap();
    tree.display().to_string()
}

/// Runs the first container on this root. On a kernel before `since` it must be refused by name instead: then false.
fn runs_on(session: &Session<'_>, mount: Mount, since: (u32, u32)) -> bool {
    enter_user_namespace(session);
    if release() >= since {
        run_on(session, mount);
        return true;
    }
    let text = refused(session, mount);
    assert!(text.contains("Linux 5.12 or newer") || text.contains("Linux 5.19 or newer"), "{text}");
    testkit::partner::not_run(&format!(
        "Linux {release:?} maps no owners; it is refused: {text}",
        release = release()
    ));
    false
}

/// Has a root refused; nothing of it may be left. Gives the message.
fn refused(session: &Session<'_>, mount: Mount) -> String {
    let mut request = session.create_request(session.first());
    request.rootfs = vec![mount];
    let text = session.refused("Create", &request, Code::UNKNOWN);
    assert_eq!(session.lab.mounts(), Vec::<std::path::PathBuf>::new());
    session.refused("State", &session.state_request(""), Code::NOT_FOUND);
    text
}

/// Runs a shell in the container, which has to succeed.
#[track_caller]
fn inside(session: &Session<'_>, exec_id: &str, script: &str) {
    session.exec(exec_id, &["/bin/sh", "-ec", script]);
    assert_eq!(session.wait(exec_id), 0, "{script}");
}

/// Who owns a file, as the host sees it.
fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

sessions! {
    ours
    /// Lower layers belong to root inside and stay root's on the host; what is written belongs to the mapped ids.
    fn the_layers_of_an_overlay_have_the_owners_of_the_container(session) {
        let mount = mapped_overlay(session, 2);
        let worker = session.lab.path("layers/bottom/home");
        chown(&worker, Some(1000), Some(1000)).unwrap();
        if !runs_on(session, mount, OVERLAY) {
            return;
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let layers = session.lab.path("layers").display().to_string();
        assert!(mounts.contains(&format!("lowerdir={layers}/000")), "the layers are shown where they are: {mounts}");
        inside(session, "lower", "[ \"$(stat -c %u:%g /bin/busybox /file0 /home | tr '\\n' ' ')\" = '0:0 0:0 1000:1000 ' ]");
        inside(session, "write", "echo x > /new; echo x > /other; chown 1000:7 /other; chmod 600 /file0; chmod 700 /home");
        let upper = |name: &str| owner(&session.lab.path("upper").join(name));
        assert_eq!(upper("new"), (100_000, 200_000));
        assert_eq!(upper("other"), (300_000, 200_007));
        assert_eq!(upper("file0"), (100_000, 200_000), "copied up");
        assert_eq!(upper("home"), (300_000, 400_000), "copied up");
        assert_eq!(owner(&worker), (1000, 1000));
        remove(session);
    }

    ours
    /// As many layers as an overlay without mappings has to take, whose names do not fit into a page.
    fn many_layers_are_mapped(session) {
        let mount = mapped_overlay(session, 60);
        if !runs_on(session, mount, OVERLAY) {
            return;
        }
        inside(session, "e", "[ \"$(stat -c %u /file0 /file59 | tr '\\n' ' ')\" = '0 0 ' ]");
        remove(session);
    }

    ours
    /// A layer of its own, as the root of a view is.
    fn the_owners_of_a_bind_mount_are_mapped(session) {
        let tree = moved_root(session);
        let mount = mapped("bind", &tree, ["rbind", "ro"].map(String::from).to_vec());
        if !runs_on(session, mount, MOUNT) {
            return;
        }
        inside(session, "e", "[ \"$(stat -c %u:%g /bin/busybox)\" = 0:0 ]; ! echo x 2> /dev/null > /written");
        remove(session);
    }

    ours
    /// What is written through a mapped mount has the owner on the disk that it has inside.
    fn a_bind_mount_is_written_to_with_its_owners(session) {
        let tree = moved_root(session);
        let mount = mapped("bind", &tree, ["rbind", "rw"].map(String::from).to_vec());
        if !runs_on(session, mount, MOUNT) {
            return;
        }
        inside(session, "e", "echo x > /written; chown 1000:7 /written");
        assert_eq!(owner(&Path::new(&tree).join("written")), (1000, 7));
        remove(session);
    }

    ours
    /// A mapping that is none is named, and one without its counterpart.
    fn a_mapping_that_cannot_be_read_is_named(session) {
        let options = overlay(session, 1);
        for (given, named) in [
            (vec!["uidmap=0:100000", "gidmap=0:100000:65536"], "\"uidmap=0:100000\": has to be CONTAINER:HOST:SIZE"),
            (vec!["uidmap=0:100000:65536"], "\"uidmap=0:100000:65536\": needs a gidmap= beside it"),
            (vec!["uidmap=0:1:9,5:20:9", "gidmap=0:1:9"], "\"uidmap=0:1:9,5:20:9 gidmap=0:1:9\""),
        ] {
            let options = given.into_iter().map(String::from).chain(options.iter().cloned()).collect();
            let text = refused(session, Mount { type_: "overlay".into(), options, ..Mount::default() });
            assert!(text.contains(named), "{text}");
        }
    }

    ours
    /// A file system without id-mapped mounts is named by the layer that lies on it; so is a layer that is not there.
    fn a_layer_that_cannot_be_mapped_is_named(session) {
        let options = overlay(session, 1);
        let (lower, others): (Vec<String>, Vec<String>) =
            options.into_iter().partition(|option| option.starts_with("lowerdir="));
        for layer in ["/proc/sys", "/no/such/layer"] {
            let options = [format!("{}:{layer}", lower[0])].into_iter().chain(others.clone()).collect();
            let text = refused(session, mapped("overlay", "overlay", options));
            let named = if release() < MOUNT { "Linux 5.12 or newer" } else { layer };
            assert!(text.contains("map the owners of") && text.contains(named), "{text}");
        }
        let text = refused(session, mapped("bind", "/proc/sys", vec!["bind".to_owned()]));
        assert!(text.contains("map the owners of /proc/sys for"), "{text}");
    }

    ours
    /// An overlay that the kernel refuses leaves nothing of the place where it was to be made.
    fn an_overlay_that_is_refused_leaves_nothing(session) {
        let mut mount = mapped_overlay(session, 1);
        mount.options.push("no-such-option".to_owned());
        let text = refused(session, mount);
        assert!(text.contains("Linux 5."), "{text}");
    }
}
