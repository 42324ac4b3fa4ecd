//! The ids of a user namespace as `uid_map` and `gid_map` below `/proc/PID` show them.
//!
//! Source: user_namespaces(7).

/// All mappings of one kind of ids of a user namespace: of each, the first id inside, the first id outside (for whom
/// looks from here) and the length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap(Vec<(u32, u32, u32)>);

impl IdMap {
    /// Reads the text of a map; a line that is not three numbers is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let numbers: Vec<u32> =
                line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
            let [inside, outside, length] = numbers[..] else { return None };
            Some((inside, outside, length))
        };
        Self(text.lines().filter_map(range).collect())
    }

    /// What an id from outside is inside; none when it has no id there. An empty map could not be read: then the ids are
    /// taken to be the same.
    #[must_use]
    pub fn inside(&self, id: u32) -> Option<u32> {
        if self.0.is_empty() {
            return Some(id);
        }
        self.0.iter().find_map(|(inside, outside, length)| counterpart(id, *outside, *length, *inside))
    }

    /// What an id from inside is outside; none when it is not mapped, as nothing is in an empty map.
    #[must_use]
    pub fn outside(&self, id: u32) -> Option<u32> {
        self.0.iter().find_map(|(inside, outside, length)| counterpart(id, *inside, *length, *outside))
    }
}

/// The id as far from `to` as `id` is from `from`.
fn counterpart(id: u32, from: u32, length: u32, to: u32) -> Option<u32> {
    let offset = id.checked_sub(from).filter(|offset| *offset < length)?;
    to.checked_add(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_file_is_what_the_container_calls_it() {
        let map = IdMap(vec![(0, 100_000, 1_000), (5_000, 7, 1)]);
        for (id, inside) in
            [(100_000, Some(0)), (100_999, Some(999)), (101_000, None), (0, None), (7, Some(5_000))]
        {
            assert_eq!(map.inside(id), inside, "{id}");
        }
        assert_eq!(IdMap::default().inside(7), Some(7));
    }

    #[test]
    fn an_id_is_found_in_the_range_that_has_it() {
        let map = IdMap::parse("         0       1000          1\n         1     100000      65536\n");
        for (id, outside) in [(0, Some(1000)), (1, Some(100_000)), (65_536, Some(165_535)), (65_537, None)] {
            assert_eq!(map.outside(id), outside, "{id}");
        }
        assert_eq!(IdMap::parse("0 0 4294967295\n").outside(1000), Some(1000));
        assert_eq!(IdMap::parse("5 4294967295 2\n").outside(6), None);
        assert_eq!(IdMap::default().outside(7), None);
    }
}
