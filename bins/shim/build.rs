//! Tells the linker to lay the functions that the shim runs side by side (docs/decisions/0030-text-order.md).
//!
//! The order is a linker script with one section, made of the list in `text-order.txt`; what the list does not name is
//! where it would be without. It is for release binaries with musl, which is what `make build` makes.
//! `SLUICE_TEXT_ORDER=none` leaves it out, for a linker that knows no scripts; `apart` is for `cargo xtask text-order`:
//! every function in pages of its own.
#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script everything by its environment, and owns where it writes"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

/// Names of functions as the linker sees them, `*` for what another compilation names differently.
const LIST: &str = "text-order.txt";

/// What the kernel maps around a page that is touched, in bytes: no two functions may share that much to be told apart.
/// Source: mm/memory.c, `fault_around_bytes`.
const AROUND: u32 = 65536;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-env-changed=SLUICE_TEXT_ORDER");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    if of("PROFILE") != "release" || of("CARGO_CFG_TARGET_ENV") != "musl" {
        return Ok(());
    }
    let section = match of("SLUICE_TEXT_ORDER").as_str() {
        "none" => return Ok(()),
        "apart" => format!(".text.apart : SUBALIGN({AROUND}) {{ *(.text .text.*) }}"),
        _ => together(&std::fs::read_to_string(LIST)?)?,
    };
    let script = PathBuf::from(of("OUT_DIR")).join("text-order.ld");
    std::fs::write(&script, format!("SECTIONS {{ {section} }} INSERT BEFORE .text;\n"))?;
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    Ok(())
}

/// The section of the functions that are listed.
fn together(list: &str) -> Result<String, std::fmt::Error> {
    let mut section = ".text.often : {\n".to_owned();
    for name in list.lines().filter(|line| !line.starts_with('#')) {
        writeln!(section, "*(.text.{name})")?;
    }
    section.push('}');
    Ok(section)
}
