//! A request of compose, which names services: their containers are called `PROJECT-SERVICE-NUMBER`, before 2.0 with `_`.
//!
//! The project is named by an option, or by the folder of the compose file, which is looked for in the folder that compose
//! was started in and those above it. A name that the file itself gives is not known here: then it means no container.

use super::{BEFORE_VERB, Given, Naming, Operands, Options, Request, Valued, after_options, known, letters};
use crate::snapshot::{Container, Process};
use crate::view::View;

/// Verbs that are for one container of a service: the one with the lowest number unless an option tells it.
const FOR_ONE: &[&str] = &["attach", "commit", "cp", "exec", "export", "port"];

/// What compose knows of its containers besides the service.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compose<'a> {
    project: Option<&'a str>,
    /// Folders that the project may have its name from, the likeliest first; none when they are not known.
    folders: Vec<&'a str>,
    number: Option<&'a str>,
    is_for_one: bool,
}

/// A container that runs a service.
struct Runs<'a> {
    project: &'a str,
    number: u32,
    id: &'a str,
}

/// A request of compose, after that word.
pub(super) fn request<'a>(client: &'a Process, words: &'a [String]) -> Option<Request<'a>> {
    let global = Options::of([Valued { short: letters("compose"), long: BEFORE_VERB }]).read(words).given;
    let words = after_options(words, "compose")?;
    let (verb, rest) = words.split_first()?;
    let is_for_one = FOR_ONE.contains(&verb.as_str());
    let mut known = known("compose", verb)?;
    if known.operands == Operands::First && !is_for_one {
        known.operands = Operands::All;
    }
    let number = value(&Options::of([known.valued]).read(rest).given, &["index"]);
    let project = value(&global, &["project-name", "p"]);
    let compose = Compose { project, folders: folders(client, &global), number, is_for_one };
    let operands = super::operands(rest, "compose", known);
    Some(Request { verb, operands, naming: Naming::Service(compose) })
}

/// The value of the first option of one of these names.
fn value<'a>(given: &[Given<'a>], names: &[&str]) -> Option<&'a str> {
    given.iter().find(|it| names.contains(&it.name)).and_then(|it| it.value)
}

/// Names of the folders that a project may be called after.
fn folders<'a>(client: &'a Process, given: &[Given<'a>]) -> Vec<&'a str> {
    let names = |path: &'a str| path.rsplit('/').filter(|name| !name.is_empty());
    let cwd = client.cwd.as_deref().into_iter().flat_map(names);
    let folder = value(given, &["project-directory", "workdir"]);
    let of_file = value(given, &["file", "f"]).filter(|file| *file != "-");
    match folder.or_else(|| of_file.map(|file| file.rsplit_once('/').map_or(".", |(folder, _)| folder))) {
        Some("." | "./") => cwd.take(1).collect(),
        Some(folder) => names(folder).take(1).collect(),
        None => cwd.collect(),
    }
}

/// Source: `NormalizeProjectName` of compose-go.
fn project_of(folder: &str) -> String {
    let lower = folder.to_lowercase();
    let kept: String = lower.chars().filter(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')).collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}

impl Compose<'_> {
    /// Whether the container is one of those that are meant by the name of a service.
    pub(super) fn means(&self, view: &View<'_>, service: &str, container: &Container) -> bool {
        let containers = view.snapshot.containers.iter();
        let mut all: Vec<Runs<'_>> = containers.filter_map(|it| runs(service, it)).collect();
        let Some(project) = self.project_of(&all) else { return false };
        all.retain(|it| it.project == project);
        match (self.number, self.is_for_one) {
            (Some(number), _) => all.retain(|it| Ok(it.number) == number.parse()),
            (None, true) => {
                let lowest = all.iter().map(|it| it.number).min();
                all.retain(|it| Some(it.number) == lowest);
            }
            (None, false) => {}
        }
        all.iter().any(|it| it.id == container.id)
    }

    /// The project whose containers are meant; without a name and a folder the only one there is.
    fn project_of(&self, all: &[Runs<'_>]) -> Option<String> {
        let is_there = |project: &String| all.iter().any(|it| it.project == project);
        if let Some(project) = self.project {
            return Some(project.to_owned());
        }
        if !self.folders.is_empty() {
            return self.folders.iter().map(|folder| project_of(folder)).find(is_there);
        }
        let first = all.first()?.project;
        all.iter().all(|it| it.project == first).then(|| first.to_owned())
    }
}

/// Which project and number a container has, if its name says that it runs the service.
fn runs<'a>(service: &str, container: &'a Container) -> Option<Runs<'a>> {
    let separators = ['-', '_'];
    let (rest, number) = container.name.as_deref()?.rsplit_once(separators)?;
    let project = rest.strip_suffix(service)?.strip_suffix(separators)?;
    Some(Runs { project, number: number.parse().ok()?, id: &container.id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    const NAMES: [&str; 4] = ["shop-app-2", "shop-app-1", "other_app_1", "shop-db-1"];

    /// Names of the containers that a client means when it was started in a folder.
    fn meant(line: &str, folder: Option<&str>) -> Vec<&'static str> {
        let container = |name: &&str| Container {
            id: format!("id of {name}"),
            name: Some((*name).to_owned()),
            ..Container::default()
        };
        let containers: Vec<Container> = NAMES.iter().map(container).collect();
        let snapshot = Snapshot { containers, ..Snapshot::default() };
        let view = View::of(&snapshot);
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let cwd = folder.map(str::to_owned);
        let client = Process { comm: args[0].clone(), args: Some(args), cwd, ..Process::default() };
        let request = super::super::request(&client).unwrap();
        let all = NAMES.into_iter().zip(&snapshot.containers);
        all.filter(|(_, container)| request.means(&view, container)).map(|(name, _)| name).collect()
    }

    #[test]
    fn one_container_of_a_service_is_meant_by_exec_and_all_by_logs() {
        assert_eq!(meant("docker compose -p shop exec app sh", None), ["shop-app-1"]);
        assert_eq!(meant("docker compose -pshop exec -u app --index 2 app sh", None), ["shop-app-2"]);
        assert_eq!(
            meant("docker compose -p shop logs app db", None),
            ["shop-app-2", "shop-app-1", "shop-db-1"]
        );
        assert_eq!(meant("docker-compose -p other exec app sh", None), ["other_app_1"]);
        assert_eq!(meant("docker compose -p none exec app sh", None), [""; 0]);
    }

    #[test]
    fn a_project_is_called_after_its_folder() {
        let exec = "docker compose exec app sh";
        assert_eq!(meant(exec, Some("/srv/Shop")), ["shop-app-1"]);
        assert_eq!(meant(exec, Some("/srv/shop/web")), ["shop-app-1"]);
        assert_eq!(meant(exec, Some("/srv/elsewhere")), [""; 0]);
        assert_eq!(meant(exec, None), [""; 0], "two projects have such a service");
        assert_eq!(meant("docker compose exec db sh", None), ["shop-db-1"]);
        assert_eq!(
            meant("docker compose -f /srv/other/x.yml exec app sh", Some("/srv/shop")),
            ["other_app_1"]
        );
        assert_eq!(meant("docker compose -f x.yml exec app sh", Some("/srv/shop")), ["shop-app-1"]);
        assert_eq!(
            meant("docker compose --project-directory ../other exec app sh", Some("/shop")),
            ["other_app_1"]
        );
    }
}
