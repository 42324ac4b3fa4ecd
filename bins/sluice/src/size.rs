//! Amounts of memory as people write them.

/// Parses `512m`, `1.5G`, `4096`, `64KiB` or `-1` to bytes; units are powers of 1024, -1 means no limit.
///
/// Compat: runc, update.go, which reads sizes with go-units' `RAMInBytes`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = shift(unit.trim())?;
    match number.parse::<i64>() {
        Ok(whole) => whole.checked_mul(1_i64.checked_shl(shift)?),
        Err(_) => fraction(number, shift),
    }
}

fn shift(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    Some(match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    })
}

/// `1.5` times a unit, without floating point: the digits behind the point are a numerator over a power of ten.
fn fraction(number: &str, shift: u32) -> Option<i64> {
    let (whole, part) = number.split_once('.')?;
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = &part[..part.len().min(9)];
    let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let part: i128 = part.parse().ok()?;
    let bytes = (i128::from(whole) * scale + part) * (1_i128 << shift) / scale;
    i64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_runc_reads_them() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("-1", Some(-1)),
            ("1b", Some(1)),
            ("32k", Some(32 << 10)),
            ("32KB", Some(32 << 10)),
            ("32KiB", Some(32 << 10)),
            ("512m", Some(512 << 20)),
            ("512 MB", Some(512 << 20)),
            ("1.5g", Some(3 << 29)),
            (".5k", Some(512)),
            ("2T", Some(2 << 40)),
            ("1p", Some(1 << 50)),
            ("", None),
            ("-2", None),
            ("m", None),
            ("1x", None),
            ("1.2.3m", None),
            ("9999999999999g", None),
        ] {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }
}
