//! Memory. Unit: bytes.

use std::collections::BTreeMap;

use proc::kv;
use serde::Serialize;

use super::{Group, Pressure, is_zero};

/// Memory.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MemoryStats {
    /// Page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: MemoryUse,
    /// Memory and swap together.
    pub swap: MemoryUse,
    /// v1: kernel memory.
    pub kernel: MemoryUse,
    /// v1: kernel TCP memory.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryUse,
    /// `memory.stat`, with the names of this kernel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Time waited for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One kind of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemoryUse {
    /// Most bytes; the largest number (v2) or a huge one (v1) is no limit.
    pub limit: u64,
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// Most that was ever in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

pub(super) fn read_v1(group: &Group<'_>) -> MemoryStats {
    let raw = raw(group);
    let use_of = |prefix: &str| MemoryUse {
        limit: group.number(&format!("{prefix}.limit_in_bytes")),
        usage: group.number(&format!("{prefix}.usage_in_bytes")),
        max: group.number(&format!("{prefix}.max_usage_in_bytes")),
        failcnt: group.number(&format!("{prefix}.failcnt")),
    };
    MemoryStats {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: use_of("memory"),
        swap: use_of("memory.memsw"),
        kernel: use_of("memory.kmem"),
        kernel_tcp: use_of("memory.kmem.tcp"),
        raw,
        psi: None,
    }
}

/// Compat: swap is memory and swap together here, as on v1.
pub(super) fn read_v2(group: &Group<'_>) -> MemoryStats {
    let raw = raw(group);
    let events = group.text("memory.events").unwrap_or_default();
    let usage = MemoryUse {
        limit: group.limit("memory.max"),
        usage: group.number("memory.current"),
        max: group.number("memory.peak"),
        failcnt: kv::lookup(&events, "max").unwrap_or(0),
    };
    let swap = MemoryUse {
        limit: group.limit("memory.swap.max").saturating_add(usage.limit),
        usage: group.number("memory.swap.current").saturating_add(usage.usage),
        ..MemoryUse::default()
    };
    MemoryStats {
        cache: raw.get("file").copied().unwrap_or(0),
        swap: if group.text("memory.swap.current").is_some() { swap } else { MemoryUse::default() },
        usage,
        raw,
        psi: group.pressure("memory.pressure"),
        ..MemoryStats::default()
    }
}

fn raw(group: &Group<'_>) -> BTreeMap<String, u64> {
    let text = group.text("memory.stat").unwrap_or_default();
    kv::flat_keyed(&text)
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.number()?)))
        .collect()
}
