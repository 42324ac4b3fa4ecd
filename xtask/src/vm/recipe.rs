//! What the guest is made of, and the script that makes it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::vm::apt::Origin;

/// The files of the recipe: name, contents.
const FILES: &[(&str, &str)] = &[
    ("packages.txt", include_str!("recipe/packages.txt")),
    ("build.sh", include_str!("recipe/build.sh")),
    ("sluice-tests.service", include_str!("recipe/sluice-tests.service")),
];

/// Changes whenever the recipe does: 64 bits of FNV-1a, as hexadecimal digits.
pub(super) fn hash() -> String {
    let bytes = FILES.iter().flat_map(|(name, text)| name.bytes().chain(text.bytes()));
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Names of the guest's packages.
fn packages() -> Vec<&'static str> {
    FILES[0].1.lines().filter_map(|line| line.split('#').next()?.split_whitespace().next()).collect()
}

/// Makes the guest in an empty folder.
///
/// # Errors
/// When a step fails; what it said is on stderr by then.
pub(super) fn build(folder: &Path, origin: &Origin) -> Result<(), Failure> {
    let recipe = folder.join("recipe");
    std::fs::create_dir(&recipe).map_err(failed("make", &recipe))?;
    for (name, text) in FILES {
        let path = recipe.join(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed("write", &path))?;
    }
    let mut command = script(&recipe);
    command.current_dir(folder).env("RECIPE", &recipe).env("PACKAGES", packages().join(","));
    command.envs(origin.environment());
    let program = "the recipe of the guest".to_owned();
    let status =
        command.status().map_err(|source| Failure::Start { program: "setpriv".to_owned(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Ended { program, status: status.to_string(), text: "see above".to_owned() })
}

/// The script in namespaces of its own: when this program is killed, the script, its children and its mounts go.
fn script(recipe: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork"]);
    command.args(["--kill-child", "sh"]).arg(recipe.join("build.sh"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Failure + 'a {
    move |source| Failure::File { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_the_first_words_of_their_lines() {
        let packages = packages();
        assert!(packages.contains(&"systemd") && packages.contains(&"linux-image-cloud-amd64"));
        assert!(packages.iter().all(|name| !name.contains(['#', ' ', ','])), "{packages:?}");
    }

    #[test]
    fn the_hash_is_a_name_for_a_folder() {
        assert_eq!(hash().len(), 16);
        assert!(hash().chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
