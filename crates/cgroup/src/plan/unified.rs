//! `linux.resources.unified`: raw files of the v2 group.

use std::collections::BTreeMap;

use super::{Write, invalid};
use crate::{Kind, Result};

pub(super) fn plan(kind: Kind, files: &BTreeMap<String, String>, writes: &mut Vec<Write>) -> Result<()> {
    if kind == Kind::V1 && !files.is_empty() {
        let text = "holds raw files of cgroup v2, but limits are set in cgroup v1 on this host";
        return Err(invalid("unified", text));
    }
    for (file, value) in files {
        let field = format!("unified/{file}");
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
