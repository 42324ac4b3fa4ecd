//! The answer of `apt-config dump`: one `Name "value";` a line.

/// Names and values in the order in which apt lists them.
#[derive(Debug, Default)]
pub(super) struct Dump {
    values: Vec<(String, String)>,
}

/// Settings that are proxies, and the variables by which other programs know them.
const PROXIES: &[(&str, &str)] =
    &[("Acquire::http::Proxy", "http_proxy"), ("Acquire::https::Proxy", "https_proxy")];

impl Dump {
    /// Reads what `apt-config dump` wrote; lines of another form are left out.
    pub(super) fn parse(text: &str) -> Self {
        Self { values: text.lines().filter_map(setting).collect() }
    }

    /// A setting, by its full name; apt's names do not tell capital letters from small ones.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The proxies as environment variables. `DIRECT` is apt's word for none.
    pub(super) fn proxies(&self) -> Vec<(&'static str, String)> {
        let proxy = |&(name, variable): &(&str, &'static str)| {
            let value = self.value(name).filter(|value| *value != "DIRECT")?;
            Some((variable, value.to_owned()))
        };
        PROXIES.iter().filter_map(proxy).collect()
    }
}

fn setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_suffix("\";")?.split_once(" \"")?;
    Some((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
APT \"\";
Dir::Etc \"etc/apt\";
Acquire::HTTP::Proxy \"http://proxy.example:3128/\";
Acquire::https::Proxy \"DIRECT\";
Acquire::Languages:: \"none\";
a line of another form
";

    #[test]
    fn settings_are_found_by_name() {
        let dump = Dump::parse(TEXT);
        assert_eq!(dump.value("Dir::Etc"), Some("etc/apt"));
        assert_eq!(dump.value("dir::etc"), Some("etc/apt"));
        assert_eq!(dump.value("APT"), None);
        assert_eq!(dump.value("No::Such"), None);
    }

    #[test]
    fn proxies_become_variables_and_direct_is_none() {
        assert_eq!(Dump::parse(TEXT).proxies(), [("http_proxy", "http://proxy.example:3128/".to_owned())]);
    }
}
