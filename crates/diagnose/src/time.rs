//! Points in time as people and programs write them.

/// Milliseconds after 1970 (UTC) as RFC 3339, such as `2026-01-02T03:04:05.678Z`.
#[must_use]
pub fn rfc3339(milliseconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(milliseconds);
    humantime::format_rfc3339_millis(time).to_string()
}
