//! The execution domain of a container.

use crate::config::Config;

/// The number for `personality(2)`; names were checked by `Config::validate`.
///
/// Source: include/uapi/linux/personality.h.
pub(crate) fn of(config: &Config) -> Option<u64> {
    const PER_LINUX: u64 = 0;
    const PER_LINUX32: u64 = 8;
    config
        .linux
        .personality
        .as_ref()
        .map(|wanted| if wanted.domain == "LINUX32" { PER_LINUX32 } else { PER_LINUX })
}
