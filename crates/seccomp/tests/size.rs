//! How long the filter for Docker's default profile is, and how many steps a system call costs.

use seccomp::Profile;

#[test]
fn print() {
    let profile: Profile = serde_json::from_str(include_str!("data/docker-default.json")).unwrap();
    let t = std::time::Instant::now();
    let compiled = seccomp::compile(&profile).unwrap();
    println!("{:?} {} {:?}", t.elapsed(), compiled.instructions.len(), compiled.warnings);
}
