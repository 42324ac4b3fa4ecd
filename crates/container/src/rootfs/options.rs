//! `mounts[].options`: words to flags. Pure; every word that `mount(8)` does not know is data for the file system.
//!
//! Compat: the words are those of runc 1.4 (libcontainer/specconv/spec_linux.go), which `features` lists.

use rustix::mount::{MountAttrFlags as Attr, MountFlags, MountPropagationFlags as Propagation};

/// The three exclusive ways of keeping access times; the value 0 is `relatime`.
const ATIME: Attr = Attr::MOUNT_ATTR__ATIME;

/// Longest value that `fsconfig(2)` takes, in bytes. Source: fs/fsopen.c, `strndup_user(_value, 256)`.
const FSCONFIG_VALUE_MAX: usize = 255;

/// A change of mount attributes. Setting any kind of access time also puts `MOUNT_ATTR__ATIME` into `clear`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) set: Attr,
    pub(super) clear: Attr,
}

impl Change {
    pub(super) const NONE: Self = Self { set: Attr::empty(), clear: Attr::empty() };

    pub(super) const READ_ONLY: Self = Self { set: Attr::MOUNT_ATTR_RDONLY, clear: Attr::empty() };

    /// What `fsmount(2)` may not have taken yet.
    pub(super) const LATE: Self = Self { set: Attr::MOUNT_ATTR_NOSYMFOLLOW, clear: Attr::empty() };

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The same wish in `mount --bind -o` form: what is not asked for is taken away, but for access times.
    pub(super) fn exactly(self) -> Self {
        let plain = Attr::MOUNT_ATTR_RDONLY
            | Attr::MOUNT_ATTR_NOSUID
            | Attr::MOUNT_ATTR_NODEV
            | Attr::MOUNT_ATTR_NOEXEC
            | Attr::MOUNT_ATTR_NOSYMFOLLOW;
        Self { set: self.set, clear: self.clear | plain.difference(self.set) }
    }

    fn add(&mut self, flag: Attr) {
        if ATIME.contains(flag) {
            self.set.remove(ATIME);
            self.clear.insert(ATIME);
        } else {
            self.clear.remove(flag);
        }
        self.set.insert(flag);
    }

    fn remove(&mut self, flag: Attr) {
        if !ATIME.contains(flag) {
            self.set.remove(flag);
            self.clear.insert(flag);
        } else if self.clear.contains(ATIME) && self.set.intersection(ATIME) == flag {
            self.set.remove(ATIME);
            self.clear.remove(ATIME);
        }
    }
}

/// How much of the source a bind mount takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bind {
    /// `bind`: the mount alone.
    One,
    /// `rbind`: with everything mounted below.
    Tree,
}

/// The meaning of one entry's options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) bind: Option<Bind>,
    pub(super) remount: bool,
    pub(super) change: Change,
    pub(super) recursive: Change,
    pub(super) propagation: Vec<Propagation>,
    /// Flags of the file system rather than of the mount, as `fsconfig(2)` spells them.
    pub(super) superblock: Vec<&'static str>,
    pub(super) copy_up: bool,
    pub(super) id_mapped: Option<Bind>,
    /// What the file system gets, `key` or `key=value`.
    pub(super) data: Vec<String>,
}

impl Options {
    pub(super) fn parse(words: &[String]) -> Self {
        let mut options = Self {
            bind: None,
            remount: false,
            change: Change::NONE,
            recursive: Change::NONE,
            propagation: Vec::new(),
            superblock: Vec::new(),
            copy_up: false,
            id_mapped: None,
            data: Vec::new(),
        };
        for word in words {
            options.take(word);
        }
        options
    }

    /// Whether the file system must be mounted through `mount(2)`, because `fsconfig(2)` cannot say it.
    pub(super) fn needs_mount2(&self) -> bool {
        self.superblock.iter().any(|word| !said_by_fsconfig(word))
            || self
                .data
                .iter()
                .any(|item| item.split_once('=').is_some_and(|(_, value)| value.len() > FSCONFIG_VALUE_MAX))
    }

    fn take(&mut self, word: &str) {
        if let Some((flag, present)) = attribute(word) {
            return change(&mut self.change, flag, present);
        }
        if let Some((flag, present)) = word.strip_prefix('r').and_then(attribute) {
            return change(&mut self.recursive, flag, present);
        }
        if let Some(propagation) = propagation(word) {
            return self.propagation.push(propagation);
        }
        if let Some(flag) = SUPERBLOCK.iter().find(|flag| **flag == word) {
            return self.superblock.push(flag);
        }
        match word {
            "bind" => self.bind = Some(Bind::One),
            "rbind" => self.bind = Some(Bind::Tree),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.id_mapped = Some(Bind::One),
            "ridmap" => self.id_mapped = Some(Bind::Tree),
            "noacl" | "noiversion" => self.superblock.retain(|flag| !word.ends_with(flag)),
            "" | "defaults" | "silent" | "loud" => {}
            _ => self.data.extend(split(word).map(str::to_owned)),
        }
    }
}

fn change(change: &mut Change, flag: Attr, present: bool) {
    if present { change.add(flag) } else { change.remove(flag) }
}

/// Words for the file system as a whole, whatever it is. Source: fs/fs_context.c, `common_set_sb_flag`; of the last
/// two that function knows nothing.
///
/// Compat: runc takes `acl` and `noacl`, also for a bind mount, where they say nothing.
const SUPERBLOCK: [&str; 9] =
    ["sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime", "acl", "iversion"];

/// Whether `fsconfig(2)` takes this word of [`SUPERBLOCK`]; the others are flags of `mount(2)` alone.
pub(super) fn said_by_fsconfig(word: &str) -> bool {
    !matches!(word, "acl" | "iversion")
}

/// The words of [`SUPERBLOCK`] as `mount(2)` has them; of two that contradict each other the later wins.
///
/// Source: include/uapi/linux/mount.h; fs/namespace.c, `path_mount`.
pub(super) fn superblock_flags(words: &[&str]) -> MountFlags {
    const POSIXACL: MountFlags = MountFlags::from_bits_retain(1 << 16);
    const I_VERSION: MountFlags = MountFlags::from_bits_retain(1 << 23);
    words.iter().fold(MountFlags::empty(), |flags, word| match *word {
        "sync" => flags | MountFlags::SYNCHRONOUS,
        "async" => flags - MountFlags::SYNCHRONOUS,
        "dirsync" => flags | MountFlags::DIRSYNC,
        "mand" => flags | MountFlags::PERMIT_MANDATORY_FILE_LOCKING,
        "nomand" => flags - MountFlags::PERMIT_MANDATORY_FILE_LOCKING,
        "lazytime" => flags | MountFlags::LAZYTIME,
        "nolazytime" => flags - MountFlags::LAZYTIME,
        "acl" => flags | POSIXACL,
        "iversion" => flags | I_VERSION,
        _ => flags,
    })
}

/// The words of mount attributes; with a leading `r` they mean the whole tree.
fn attribute(word: &str) -> Option<(Attr, bool)> {
    Some(match word {
        "ro" => (Attr::MOUNT_ATTR_RDONLY, true),
        "rw" => (Attr::MOUNT_ATTR_RDONLY, false),
        "nosuid" => (Attr::MOUNT_ATTR_NOSUID, true),
        "suid" => (Attr::MOUNT_ATTR_NOSUID, false),
        "nodev" => (Attr::MOUNT_ATTR_NODEV, true),
        "dev" => (Attr::MOUNT_ATTR_NODEV, false),
        "noexec" => (Attr::MOUNT_ATTR_NOEXEC, true),
        "exec" => (Attr::MOUNT_ATTR_NOEXEC, false),
        "nodiratime" => (Attr::MOUNT_ATTR_NODIRATIME, true),
        "diratime" => (Attr::MOUNT_ATTR_NODIRATIME, false),
        "noatime" => (Attr::MOUNT_ATTR_NOATIME, true),
        "atime" => (Attr::MOUNT_ATTR_NOATIME, false),
        "relatime" => (Attr::MOUNT_ATTR_RELATIME, true),
        "norelatime" => (Attr::MOUNT_ATTR_RELATIME, false),
        "strictatime" => (Attr::MOUNT_ATTR_STRICTATIME, true),
        "nostrictatime" => (Attr::MOUNT_ATTR_STRICTATIME, false),
        "nosymfollow" => (Attr::MOUNT_ATTR_NOSYMFOLLOW, true),
        "symfollow" => (Attr::MOUNT_ATTR_NOSYMFOLLOW, false),
        _ => return None,
    })
}

/// The words of propagation, also those of `linux.rootfsPropagation`.
pub(super) fn propagation(word: &str) -> Option<Propagation> {
    Some(match word {
        "private" => Propagation::PRIVATE,
        "rprivate" => Propagation::PRIVATE | Propagation::REC,
        "slave" => Propagation::DOWNSTREAM,
        "rslave" => Propagation::DOWNSTREAM | Propagation::REC,
        "shared" => Propagation::SHARED,
        "rshared" => Propagation::SHARED | Propagation::REC,
        "unbindable" => Propagation::UNBINDABLE,
        "runbindable" => Propagation::UNBINDABLE | Propagation::REC,
        _ => return None,
    })
}

/// One word may hold several options; commas inside of quotes do not separate (`context="a:b:c0,c1"`).
fn split(word: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    word.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter(|item| !item.is_empty())
}

/// Every word of `mounts[].options` that is understood by itself, sorted, as `features` lists them.
#[must_use]
pub fn known_words() -> Vec<String> {
    let attributes = [
        "ro",
        "rw",
        "nosuid",
        "suid",
        "nodev",
        "dev",
        "noexec",
        "exec",
        "nodiratime",
        "diratime",
        "noatime",
        "atime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "nosymfollow",
        "symfollow",
    ];
    let others = [
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
        "bind",
        "rbind",
        "remount",
        "tmpcopyup",
        "idmap",
        "ridmap",
        "defaults",
        "silent",
        "loud",
        "noacl",
        "noiversion",
    ];
    let mut words: Vec<String> =
        attributes.iter().chain(&others).chain(&SUPERBLOCK).map(ToString::to_string).collect();
    words.extend(attributes.iter().map(|word| format!("r{word}")));
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        Options::parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn every_known_word_is_understood_and_leaves_no_data() {
        for word in known_words() {
            assert_eq!(parse(&[&word]).data, [""; 0], "{word}");
        }
    }

    #[test]
    fn later_words_win_and_clearing_is_remembered() {
        let table: [(&[&str], Attr, Attr); 7] = [
            (&["ro", "rw"], Attr::empty(), Attr::MOUNT_ATTR_RDONLY),
            (&["rw", "ro"], Attr::MOUNT_ATTR_RDONLY, Attr::empty()),
            (&["noatime"], Attr::MOUNT_ATTR_NOATIME, ATIME),
            (&["noatime", "strictatime"], Attr::MOUNT_ATTR_STRICTATIME, ATIME),
            (&["noatime", "relatime"], Attr::empty(), ATIME),
            (&["noatime", "atime"], Attr::empty(), Attr::empty()),
            (&["strictatime", "norelatime"], Attr::MOUNT_ATTR_STRICTATIME, ATIME),
        ];
        for (words, set, clear) in table {
            assert_eq!(parse(words).change, Change { set, clear }, "{words:?}");
        }
    }

    #[test]
    fn a_leading_r_means_the_whole_tree() {
        let options = parse(&["rro", "rnoatime", "rexec"]);
        assert_eq!(options.change, Change::NONE);
        assert_eq!(options.recursive.set, Attr::MOUNT_ATTR_RDONLY | Attr::MOUNT_ATTR_NOATIME);
        assert_eq!(options.recursive.clear, ATIME | Attr::MOUNT_ATTR_NOEXEC);
    }

    #[test]
    fn words_that_fsconfig_does_not_take_are_flags_of_mount() {
        for (words, flags) in [
            (&["acl"][..], 0x1_0000),
            (&["iversion", "sync"], 0x80_0010),
            (&["acl", "noacl"], 0),
            (&["noacl", "lazytime", "nolazytime"], 0),
        ] {
            let options = parse(words);
            assert_eq!(superblock_flags(&options.superblock).bits(), flags, "{words:?}");
            assert_eq!(options.needs_mount2(), flags & 0x81_0000 != 0, "{words:?}");
        }
    }

    #[test]
    fn what_is_not_known_goes_to_the_file_system() {
        let options = parse(&["mode=755,size=1m", "newinstance", "context=\"u:r:t:c0,c1\",uid=3"]);
        assert_eq!(options.data, ["mode=755", "size=1m", "newinstance", "context=\"u:r:t:c0,c1\"", "uid=3"]);
        assert!(!options.needs_mount2());
        assert!(parse(&[&format!("lowerdir=/{}", "x".repeat(255))]).needs_mount2());
    }
}
