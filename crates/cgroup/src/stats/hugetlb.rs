//! Huge pages.

use std::collections::BTreeMap;

use proc::kv;
use serde::Serialize;

use super::{Group, is_zero};
use crate::Kind;

/// Huge pages of one size. Unit: bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HugetlbStats {
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// v1: most that was ever in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

pub(super) fn read(kind: Kind, group: &Group<'_>) -> BTreeMap<String, HugetlbStats> {
    let entries = group.path.and_then(|path| std::fs::read_dir(path).ok());
    let names =
        entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let sizes = names.filter_map(|name| page_size(kind, &name).map(str::to_owned));
    sizes.map(|size| (size.clone(), read_size(kind, group, &size))).collect()
}

/// The size in the name of the file that holds the usage.
fn page_size(kind: Kind, name: &str) -> Option<&str> {
    let suffix = if kind == Kind::V1 { ".usage_in_bytes" } else { ".current" };
    let size = name.strip_prefix("hugetlb.")?.strip_suffix(suffix)?;
    (!size.contains('.')).then_some(size)
}

fn read_size(kind: Kind, group: &Group<'_>, size: &str) -> HugetlbStats {
    let number = |end: &str| group.number(&format!("hugetlb.{size}.{end}"));
    match kind {
        Kind::V1 => HugetlbStats {
            usage: number("usage_in_bytes"),
            max: number("max_usage_in_bytes"),
            failcnt: number("failcnt"),
        },
        Kind::V2 => {
            let events = group.text(&format!("hugetlb.{size}.events")).unwrap_or_default();
            HugetlbStats {
                usage: number("current"),
                max: 0,
                failcnt: kv::lookup(&events, "max").unwrap_or(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_found_by_their_usage_files() {
        assert_eq!(page_size(Kind::V1, "hugetlb.2MB.usage_in_bytes"), Some("2MB"));
        assert_eq!(page_size(Kind::V1, "hugetlb.2MB.rsvd.usage_in_bytes"), None);
        assert_eq!(page_size(Kind::V2, "hugetlb.1GB.current"), Some("1GB"));
        assert_eq!(page_size(Kind::V2, "hugetlb.1GB.max"), None);
    }
}
