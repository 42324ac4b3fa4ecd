//! What a user is told who asks for more than a user can have.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use testkit::conformance;

use crate::user::User;

conformance! {
    fn a_container_without_a_user_namespace_is_refused(lab) {
        let Some(user) = User::of(lab) else { return };
        let bundle = user.bundle("b", |config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "user");
            let linux = config["linux"].as_object_mut().unwrap();
            linux.remove("uidMappings");
            linux.remove("gidMappings");
        });
        let output = user.rt(&["run", "--bundle", &bundle, "c"]).run().code(1);
        output.says("rootless container requires user namespaces");
    }

    fn another_user_is_kept_out(lab) {
        let Some(user) = User::of(lab) else { return };
        std::fs::set_permissions(lab.path("user-root"), Permissions::from_mode(0o700)).unwrap();
        user.sleeper("c");
        let words = user.words(&["state", "c"]);
        let output = lab.program("runuser").args(["-u", "nobody", "--"]).args(&words).run().code(1);
        if !lab.is_reference() {
            output.says(&format!("{}", lab.path("user-root").display())).says("access refused (EACCES)");
        }
        user.delete("c");
    }

    fn a_user_without_a_state_root_is_told_how_to_have_one(lab) {
        let Some(user) = User::of(lab) else { return };
        let binary = user.binary();
        let unset = user.program(&["env", "--unset=XDG_RUNTIME_DIR", &binary, "run", "c"]).run();
        let closed = user.program(&["env", "XDG_RUNTIME_DIR=/root", &binary, "run", "c"]).run().code(1);
        if !lab.is_reference() {
            unset.code(1).says("no state root for this user: set XDG_RUNTIME_DIR, or give --root DIR");
            closed.says("make the state root /root/sluice below XDG_RUNTIME_DIR, which must be a directory of this user");
        }
    }
}
