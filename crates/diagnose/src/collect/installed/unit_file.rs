//! Settings of a unit file.
//!
//! Source: systemd.syntax(7).

use crate::redact;
use crate::snapshot::installed::Setting;

/// Every setting in order, continued lines joined. Values of `Environment=` lose their secrets.
#[must_use]
pub fn settings(text: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut section = String::new();
    for line in logical_lines(text) {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), redact::text(value.trim()));
            found.push(Setting { section: section.clone(), key, value });
        }
    }
    found
}

/// Lines, those that end in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        let (body, continued) = line.strip_suffix('\\').map_or((line, false), |body| (body, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => {
                last.push(' ');
                last.push_str(body.trim());
            }
            None => lines.push(body.to_owned()),
        }
        goes_on = continued;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_sections_and_long_lines_are_one() {
        let text = "[Unit]\n# TasksMax=1\n[Service]\nTasksMax=infinity\nExecStart=/usr/sbin/dockerd \\\n  -H fd://\nEnvironment=TOKEN=abc\n";
        let found = settings(text);
        let flat: Vec<(&str, &str, &str)> =
            found.iter().map(|it| (it.section.as_str(), it.key.as_str(), it.value.as_str())).collect();
        assert_eq!(
            flat,
            [
                ("Service", "TasksMax", "infinity"),
                ("Service", "ExecStart", "/usr/sbin/dockerd  -H fd://"),
                ("Service", "Environment", "TOKEN=<redacted>")
            ]
        );
    }
}
