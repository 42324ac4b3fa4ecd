//! `linux.resources.unified`: raw files of the v2 group.

use std::collections::BTreeMap;

use super::{Write, invalid};
use crate::{Kind, Result};

/// Files of the group itself that are limits. The others move, kill, freeze or change the kind of the group: a pid in
/// `cgroup.procs` would be one of the host's.
const LIMITS_OF_GROUPS: [&str; 3] = ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"];

pub(super) fn plan(kind: Kind, files: &BTreeMap<String, String>, writes: &mut Vec<Write>) -> Result<()> {
    if kind == Kind::V1 && !files.is_empty() {
        let text = "holds raw files of cgroup v2, but limits are set in cgroup v1 on this host";
        return Err(invalid("unified", text));
    }
    for (file, value) in files {
        let field = format!("unified/{file}");
        if file.starts_with("cgroup.") && !LIMITS_OF_GROUPS.contains(&file.as_str()) {
            let text = "is no limit but a switch of the group itself; a file of a controller is expected, such as memory.high";
            return Err(invalid(&field, text));
        }
        match file.split_once('.') {
            Some((controller, rest)) if is_name(controller) && is_name(rest) => {
                writes.push(Write::new(controller, file, value, &field));
            }
            _ => {
                return Err(invalid(
                    &field,
                    "must be the name of a file of a controller, such as memory.high",
                ));
            }
        }
    }
    Ok(())
}

fn is_name(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\0'])
}
