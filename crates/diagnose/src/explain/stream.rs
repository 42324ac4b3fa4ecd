//! Any amount of log text: only lines with a word that matters are looked at.
//!
//! One automaton runs over the raw bytes; from a hit, the line around it is taken out and judged. Memory does not grow
//! with the input.

use std::io::{BufRead, BufReader, Read};

use aho_corasick::Input;
use memchr::{memchr, memchr_iter, memrchr};

use super::classify::{Explainer, Explanation};
use super::journal;
use crate::Error;

/// How much is read at once, in bytes; also how long a line can get before it is cut.
const BLOCK: usize = 1 << 20;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Lines, or entries of a journal.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines that read as a failure.
    pub failures: u64,
}

impl Explainer {
    /// Explains every line of the input that reads as a failure, in their order.
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn read(&self, input: &mut dyn Read, found: &mut dyn FnMut(Explanation)) -> Result<Totals, Error> {
        let mut input = BufReader::with_capacity(BLOCK, input);
        let start = input.fill_buf().map_err(|source| Error::Input { bytes: 0, source })?;
        if start.starts_with(journal::START) {
            return self.read_journal(&mut input, found);
        }
        self.read_lines(&mut input, found)
    }

    fn read_journal(
        &self,
        input: &mut dyn BufRead,
        found: &mut dyn FnMut(Explanation),
    ) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        let failed = |totals: &Totals, source| Error::Input { bytes: totals.bytes, source };
        while let Some(entry) = journal::entry(input).map_err(|source| failed(&totals, source))? {
            totals.lines += 1;
            totals.bytes += u64::try_from(entry.len()).unwrap_or(0);
            if self.search().is_match(entry.as_bytes()) {
                self.pass(&entry, &mut totals, found);
            }
        }
        Ok(totals)
    }

    fn read_lines(&self, input: &mut dyn Read, found: &mut dyn FnMut(Explanation)) -> Result<Totals, Error> {
        let mut totals = Totals::default();
        let mut block = vec![0; BLOCK];
        let mut kept = 0;
        loop {
            let space = block.get_mut(kept..).unwrap_or_default();
            let more = input.read(space).map_err(|source| Error::Input { bytes: totals.bytes, source })?;
            totals.bytes += u64::try_from(more).unwrap_or(0);
            let filled = kept + more;
            let text = block.get(..filled).unwrap_or_default();
            let is_last = more == 0 || filled == block.len();
            let end = memrchr(b'\n', text).map_or(0, |at| at + 1);
            let end = if end == 0 && is_last { filled } else { end };
            let end = if more == 0 { filled } else { end };
            self.look(text.get(..end).unwrap_or_default(), &mut totals, found);
            if more == 0 {
                return Ok(totals);
            }
            block.copy_within(end..filled, 0);
            kept = filled - end;
        }
    }

    /// Whole lines.
    fn look(&self, text: &[u8], totals: &mut Totals, found: &mut dyn FnMut(Explanation)) {
        let mut from = 0;
        while let Some(hit) = self.search().find(Input::new(text).range(from..)) {
            let before = text.get(from..hit.start()).unwrap_or_default();
            let start = memrchr(b'\n', before).map_or(from, |at| from + at + 1);
            let after = text.get(hit.end()..).unwrap_or_default();
            let end = memchr(b'\n', after).map_or(text.len(), |at| hit.end() + at);
            totals.lines += count(text.get(from..start).unwrap_or_default()) + 1;
            let line = String::from_utf8_lossy(text.get(start..end).unwrap_or_default());
            self.pass(&line, totals, found);
            from = (end + 1).min(text.len());
        }
        let rest = text.get(from..).unwrap_or_default();
        let is_open = rest.last().is_some_and(|byte| *byte != b'\n');
        totals.lines += count(rest) + u64::from(is_open);
    }

    fn pass(&self, line: &str, totals: &mut Totals, found: &mut dyn FnMut(Explanation)) {
        if let Some(explanation) = self.explain(line) {
            totals.failures += 1;
            found(Explanation { number: totals.lines, ..explanation });
        }
    }
}

fn count(text: &[u8]) -> u64 {
    u64::try_from(memchr_iter(b'\n', text).count()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &[u8]) -> (Vec<u64>, Totals) {
        let explainer = Explainer::new().unwrap();
        let mut numbers = Vec::new();
        let totals = explainer.read(&mut &*text, &mut |found| numbers.push(found.number)).unwrap();
        (numbers, totals)
    }

    #[test]
    fn lines_are_counted_and_failures_found_where_they_stand() {
        let text = b"all well\nexec failed: EOF\n\nfine\nexec failed: unexpected EOF";
        let (found, totals) = numbers(text);
        assert_eq!(found, [2, 5]);
        assert_eq!(totals, Totals { lines: 5, bytes: 59, failures: 2 });
        assert_eq!(numbers(b"").1, Totals::default());
    }

    #[test]
    fn a_line_across_two_blocks_is_one_line() {
        let mut text = vec![b'x'; BLOCK - 6];
        text.extend(b"\nexec failed: EOF\n");
        text.extend(vec![b'y'; BLOCK * 2]);
        text.extend(b"\nexec failed: EOF\n");
        assert_eq!(numbers(&text).0.first(), Some(&2));
        assert_eq!(numbers(&text).1.failures, 2);
    }

    #[test]
    fn a_journal_is_read_by_entries() {
        let text = b"__CURSOR=a\nSYSLOG_IDENTIFIER=dockerd\nMESSAGE=fine\n\n__CURSOR=b\nMESSAGE=exec failed: EOF\n\n";
        assert_eq!(numbers(text).0, [2]);
    }
}
