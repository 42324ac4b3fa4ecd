//! `linux.resources.network`.

use super::{Write, invalid, only_v1};
use crate::{Kind, Network, Result};

pub(super) fn plan(kind: Kind, network: &Network, writes: &mut Vec<Write>) -> Result<()> {
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        let write = Write::new("net_cls", "net_cls.classid", class, "network/classID");
        push(kind, write, writes)?;
    }
    for (number, priority) in network.priorities.iter().enumerate() {
        let field = format!("network/priorities/{number}");
        if priority.name.is_empty() || priority.name.contains(char::is_whitespace) {
            return Err(invalid(&field, format!("{:?} is not the name of an interface", priority.name)));
        }
        let value = format!("{} {}", priority.name, priority.priority);
        push(kind, Write::new("net_prio", "net_prio.ifpriomap", value, &field), writes)?;
    }
    Ok(())
}

fn push(kind: Kind, write: Write, writes: &mut Vec<Write>) -> Result<()> {
    if kind == Kind::V2 {
        return Err(only_v1(&write.controller, &write.field));
    }
    writes.push(write);
    Ok(())
}
