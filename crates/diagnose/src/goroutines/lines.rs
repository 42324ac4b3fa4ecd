//! Lines of a dump, whether they end with a line end or with the `\n` of a quoted log field.

use std::io::{ErrorKind, Read};

use memchr::memchr2;

use crate::Error;

/// How much is read at once, in bytes; a longer line is cut there.
const BLOCK: usize = 1 << 20;

/// Hands each line over, without its end.
///
/// # Errors
/// When the input cannot be read.
pub(super) fn each(input: &mut dyn Read, take: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    let mut block = vec![0; BLOCK];
    let (mut kept, mut bytes) = (0, 0_u64);
    loop {
        let space = block.get_mut(kept..).unwrap_or_default();
        let more = match input.read(space) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(|source| Error::Input { bytes, source })?,
        };
        bytes += u64::try_from(more).unwrap_or(0);
        let filled = kept + more;
        let text = block.get(..filled).unwrap_or_default();
        let mut used = split(text, take);
        let is_full = used == 0 && filled == block.len();
        if more == 0 || is_full {
            take(text.get(used..).unwrap_or_default());
            used = filled;
        }
        if more == 0 {
            return Ok(());
        }
        block.copy_within(used..filled, 0);
        kept = filled - used;
    }
}

/// Hands over the lines that are complete; how many bytes that were.
fn split(text: &[u8], take: &mut dyn FnMut(&[u8])) -> usize {
    let (mut start, mut from) = (0, 0);
    while let Some(at) = text.get(from..).and_then(|rest| memchr2(b'\n', b'\\', rest)) {
        let at = from + at;
        let length = match (text.get(at), text.get(at + 1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\\'), Some(b'n')) => 2,
            (Some(b'\\'), None) => return start,
            _ => {
                from = at + 1;
                continue;
            }
        };
        take(text.get(start..at).unwrap_or_default());
        start = at + length;
        from = start;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        each(&mut &*text, &mut |line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap();
        lines
    }

    #[test]
    fn both_kinds_of_line_end_are_one() {
        assert_eq!(lines(b"a\nb\\nc\\td"), ["a", "b", "c\\td"]);
        assert_eq!(lines(b""), [""]);
    }

    #[test]
    fn a_line_longer_than_a_block_is_cut() {
        assert_eq!(lines(&vec![b'x'; BLOCK + 5]).len(), 2);
    }
}
