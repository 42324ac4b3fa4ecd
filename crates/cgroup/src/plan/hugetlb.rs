//! `linux.resources.hugepageLimits`.

use super::{Write, invalid};
use crate::{HugepageLimit, Kind, Result};

/// Kernel: since 5.7 reservations are limited too, which turns a SIGBUS at the first touch into a failed mmap.
pub(super) fn plan(kind: Kind, limits: &[HugepageLimit], writes: &mut Vec<Write>) -> Result<()> {
    let end = if kind == Kind::V1 { "limit_in_bytes" } else { "max" };
    for (number, HugepageLimit { page_size: size, limit }) in limits.iter().enumerate() {
        let field = format!("hugepageLimits/{number}");
        if !is_size(size) {
            return Err(invalid(&format!("{field}/pageSize"), format!("{size:?} is not a size like 2MB")));
        }
        writes.push(Write::new("hugetlb", &format!("hugetlb.{size}.{end}"), limit, &field));
        writes.push(Write::new("hugetlb", &format!("hugetlb.{size}.rsvd.{end}"), limit, &field).optional());
    }
    Ok(())
}

/// The size becomes a part of a file name.
fn is_size(size: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    digits.is_some_and(|digits| {
        !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_size_cannot_lead_to_another_file() {
        for good in ["64KB", "2MB", "16GB"] {
            assert!(is_size(good), "{good}");
        }
        for bad in ["", "MB", "0MB", "../2MB", "2mb", "2TB", "2 MB"] {
            assert!(!is_size(bad), "{bad}");
        }
    }
}
