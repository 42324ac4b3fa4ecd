//! Ids that are delegated to the user: `newuidmap` and `newgidmap` map them.

use serde_json::{Value, json};
use testkit::conformance;

use crate::user::User;

/// The user as root, and `count` delegated ids after it.
fn mappings(user: &User<'_>, count: u32) -> Value {
    let (first, _) = user.delegated_ids();
    json!([
        {"containerID": 0, "hostID": user.uid, "size": 1},
        {"containerID": 1, "hostID": first, "size": count},
    ])
}

fn bundle(user: &User<'_>, maps: &Value, script: &str) -> String {
    user.bundle("b", |config| {
        config["linux"]["uidMappings"] = maps.clone();
        config["linux"]["gidMappings"] = maps.clone();
        config["process"]["args"] = json!(["sh", "-c", script]);
        let chown = ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"];
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(chown);
        }
    })
}

conformance! {
    fn delegated_ids_are_mapped(lab) {
        let Some(user) = User::of(lab) else { return };
        let (first, count) = user.delegated_ids();
        let script = "cat /proc/self/gid_map /proc/self/setgroups && touch /tmp/f && chown 7:8 /tmp/f";
        let bundle = bundle(&user, &mappings(&user, count), script);
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).ok();
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        let (uid, first_text, count) = (user.uid.to_string(), first.to_string(), count.to_string());
        assert_eq!(words, ["0", &uid, "1", "1", &first_text, &count, "allow"]);
        let file = std::fs::metadata(format!("{bundle}/rootfs/tmp/f")).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!((file.uid(), file.gid()), (first + 6, first + 7));
    }

    fn a_process_has_additional_groups(lab) {
        let Some(user) = User::of(lab) else { return };
        if lab.reference_lacks("additional groups of an exec in a rootless container") {
            return;
        }
        let maps = mappings(&user, 100);
        let bundle = bundle(&user, &maps, "exec sleep 1000000");
        user.rt(&["run", "--detach", "--bundle", &bundle, "c"]).ok();
        user.pid("c");
        let exec = ["exec", "--user", "5:6", "--additional-gids", "7", "c", "id", "-G"];
        user.rt(&exec).ok().prints("6 7");
        user.delete("c");
    }

    fn a_range_that_is_not_delegated_is_refused(lab) {
        let Some(user) = User::of(lab) else { return };
        let (first, count) = user.delegated_ids();
        let bundle = bundle(&user, &mappings(&user, count + 1), "true");
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).run().code(1);
        if !lab.is_reference() {
            output
                .says("newgidmap: gid range")
                .says(&format!("has only alice:{first}:{count}; these ids need a line such as alice:{first}:{}", count + 1));
        }
        assert_eq!(user.rt(&["list", "--quiet"]).ok().stdout, "");
    }

    fn a_mapping_without_root_is_refused(lab) {
        let Some(user) = User::of(lab) else { return };
        let maps = json!([{"containerID": 1000, "hostID": user.uid, "size": 1}]);
        let bundle = bundle(&user, &maps, "true");
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).run().code(1);
        if !lab.is_reference() {
            output.says("config.json/linux/uidMappings: maps no containerID 0");
        }
    }
}
