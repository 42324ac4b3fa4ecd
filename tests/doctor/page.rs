//! The page that `--html` writes, in a real browser: without a network, light and dark, and nothing refused.
//!
//! The browser runs in a network namespace of its own. The page's policy forbids it to load or to run anything, and a
//! breach is said on the browser's console: so a silent console is a page that needs neither network nor script.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use testkit::{Doctor, Lab, Output, Runtime, case, partner};

/// A browser that looks at one page. What it starts beside itself ends with its pid namespace.
fn browser(lab: &Lab, chromium: &Path, flags: &[&str], page: &Path) -> Output {
    let command = lab
        .program("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args([chromium]);
    let command = command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    let command = command.args(["--enable-logging=stderr", "--window-size=900,700"]).args(flags);
    let profile = format!("--user-data-dir={}", lab.path("profile").display());
    command.args([profile, format!("file://{}", page.display())]).ok()
}

/// What the console says about the page; the browser has pages of its own.
fn console(output: &Output) -> Vec<&str> {
    let is_own = |line: &&str| line.contains("source: chrome://");
    output.stderr.lines().filter(|line| line.contains(":CONSOLE") && !is_own(line)).collect()
}

/// Listings of a node on which a runtime cannot write its crash dump, taken by hand.
fn listings() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/diagnose/fixtures");
    ["flood-lsof.txt", "flood-proc.txt", "flood-ps.txt"].map(|name| folder.join(name)).to_vec()
}

/// Red, green and blue of the upper left corner of a picture: the ground of the page.
///
/// Source: the PNG specification. The first pixel of the first line is what it is under each of the filters.
fn corner(picture: &Path) -> [u8; 3] {
    let bytes = std::fs::read(picture).unwrap();
    assert_eq!(bytes[24..26], [8, 2], "eight bits a colour, no alpha");
    let at = bytes.windows(4).position(|window| window == b"IDAT").unwrap() + 4;
    let mut start = [0; 4];
    flate2::read::ZlibDecoder::new(&bytes[at..]).read_exact(&mut start).unwrap();
    [start[1], start[2], start[3]]
}

#[test]
fn a_real_browser_shows_it_offline_light_and_dark() {
    case::run(Runtime::Runc, |lab| {
        let (Some(doctor), Some(chromium)) = (Doctor::find(lab), partner::find("chromium")) else { return };
        let page = lab.path("report.html");
        doctor.cli(&["--html"]).args([&page]).args(["--from-text"]).args(listings()).run().code(2);

        lab.step("everything is there, and the console is silent");
        let shown = browser(lab, &chromium, &["--dump-dom"], &page);
        assert_eq!(console(&shown), Vec::<&str>::new());
        let picture = shown.stdout.split("<svg").nth(1).unwrap().split("</svg>").next().unwrap();
        assert!(picture.contains("awk (3780)"), "the blocker is in the picture: {picture}");
        let text = shown.stdout.replace(picture, "");
        for part in ["cannot write its error output", "The blocker:", "Evidence", "Remedies, mildest first"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }

        lab.step("a page that wants a script or a picture is refused, aloud");
        let greedy = std::fs::read_to_string(&page).unwrap();
        let wants = "<body><script>document.title = 1</script><img src=\"http://192.0.2.1/x.png\">";
        let greedy = lab.write("greedy.html", &greedy.replace("<body>", wants));
        assert_eq!(console(&browser(lab, &chromium, &["--dump-dom"], &greedy)).len(), 2);

        lab.step("light and dark");
        let ground = |scheme: &str, name: &str| {
            let file = lab.path(name);
            let settings = format!("--blink-settings=preferredColorScheme={scheme}");
            browser(lab, &chromium, &[&settings, &format!("--screenshot={}", file.display())], &page);
            corner(&file).map(u32::from).iter().sum::<u32>()
        };
        let (dark, light) = (ground("0", "dark.png"), ground("1", "light.png"));
        assert!(dark < 3 * 64 && light > 3 * 192, "dark {dark}, light {light}");
    });
}
