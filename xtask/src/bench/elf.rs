//! The smallest programs there are: machine code behind one ELF header, so that a measured time is the runtime's.

/// `e_machine` of the processor this was built for. Source: linux/elf-em.h.
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// `exit_group(0)`.
#[cfg(target_arch = "x86_64")]
const EXIT: &[u8] = &[0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05];
/// `exit_group(0)`.
#[cfg(target_arch = "aarch64")]
const EXIT: &[u8] = &[0, 0, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4];

/// `ppoll(NULL, 0, NULL, NULL)` for ever.
#[cfg(target_arch = "x86_64")]
const WAIT: &[u8] =
    &[0x31, 0xff, 0x31, 0xf6, 0x31, 0xd2, 0x4d, 0x31, 0xd2, 0xb8, 0x0f, 0x01, 0, 0, 0x0f, 0x05, 0xeb, 0xee];
/// `ppoll(NULL, 0, NULL, NULL)` for ever.
#[cfg(target_arch = "aarch64")]
const WAIT: &[u8] = &[
    0, 0, 0x80, 0xd2, 1, 0, 0x80, 0xd2, 2, 0, 0x80, 0xd2, 3, 0, 0x80, 0xd2, 0x28, 0x09, 0x80, 0xd2, 1, 0, 0,
    0xd4, 0xfa, 0xff, 0xff, 0x17,
];

/// Where the file is mapped.
const BASE: u64 = 0x40_0000;
/// Sizes of the two headers in bytes.
const HEADERS: u64 = 64 + 56;

/// A program that ends at once with status 0.
pub(super) fn exit() -> Vec<u8> {
    program(EXIT)
}

/// A program that sleeps until it is killed.
pub(super) fn wait() -> Vec<u8> {
    program(WAIT)
}

/// Source: elf(5): a 64-bit little-endian executable with one segment to read and execute.
fn program(code: &[u8]) -> Vec<u8> {
    let size = HEADERS + u64::try_from(code.len()).unwrap_or(0);
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    half(&mut file, 2); // ET_EXEC
    half(&mut file, MACHINE);
    word(&mut file, 1);
    [BASE + HEADERS, 64, 0].into_iter().for_each(|value| long(&mut file, value)); // entry, phoff, shoff
    word(&mut file, 0);
    [64, 56, 1, 0, 0, 0].into_iter().for_each(|value| half(&mut file, value));
    word(&mut file, 1); // PT_LOAD
    word(&mut file, 5); // PF_R | PF_X
    [0, BASE, BASE, size, size, 0x1000].into_iter().for_each(|value| long(&mut file, value));
    file.extend(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_an_executable_that_ends_with_0() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("true");
        let mode = <std::fs::OpenOptions as std::os::unix::fs::OpenOptionsExt>::mode;
        let mut file =
            mode(std::fs::OpenOptions::new().write(true).create_new(true), 0o755).open(&path).unwrap();
        file.write_all(&exit()).unwrap();
        drop(file);
        assert!(std::process::Command::new(path).status().unwrap().success());
    }
}
