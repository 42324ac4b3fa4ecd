//! `linux.resources.rdma`.

use std::collections::BTreeMap;

use super::{Write, invalid};
use crate::{Rdma, Result};

pub(super) fn plan(devices: &BTreeMap<String, Rdma>, writes: &mut Vec<Write>) -> Result<()> {
    for (name, limits) in devices {
        let field = format!("rdma/{name}");
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid(&field, "is not the name of a device"));
        }
        let mut value = name.clone();
        for (key, limit) in [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)] {
            if let Some(limit) = limit {
                value.push_str(&format!(" {key}={limit}"));
            }
        }
        if value != *name {
            writes.push(Write::new("rdma", "rdma.max", value, &field));
        }
    }
    Ok(())
}
