//! Names of containers in dockerd's and podman's own records.

use serde::Deserialize;

use super::folder::Folder;
use super::piece::Piece;
use super::places::Places;
use super::worker::Visit;

/// Most bytes of one record.
const LARGEST: usize = 1 << 20;

/// Directories of containers in dockerd's data roots, and podman's list.
pub(super) fn units(places: &Places) -> Vec<String> {
    let docker = places.data_roots.iter().map(|root| format!("{root}/containers"));
    docker.chain(["var/lib/containers/storage/overlay-containers/containers.json".to_owned()]).collect()
}

/// The names below one of them.
pub(super) fn read(root: &Folder, visit: &Visit<'_>) -> Vec<Piece> {
    visit.about("file");
    if visit.unit.ends_with(".json") {
        return root.text(visit.unit, LARGEST).map(|text| podman(&text)).unwrap_or_default();
    }
    let entries = root.folder(visit.unit).and_then(|folder| folder.entries()).unwrap_or_default();
    let records = entries.iter().filter(|it| it.is_folder).filter_map(|it| {
        let text = root.text(&format!("{}/{}/config.v2.json", visit.unit, it.name), LARGEST).ok()?;
        docker(&text, &it.name)
    });
    records.collect()
}

/// `config.v2.json` of dockerd: the name begins with a slash.
fn docker(text: &str, id: &str) -> Option<Piece> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "Name")]
        name: String,
    }
    let record: Record = serde_json::from_str(text).ok()?;
    let name = record.name.trim_start_matches('/').to_owned();
    Some(Piece::ContainerName { id: id.to_owned(), name })
}

/// `containers.json` of podman's storage.
fn podman(text: &str) -> Vec<Piece> {
    #[derive(Deserialize)]
    struct Record {
        id: String,
        #[serde(default)]
        names: Vec<String>,
    }
    let records: Vec<Record> = serde_json::from_str(text).unwrap_or_default();
    let named = records.into_iter().filter_map(|it| Some((it.id, it.names.into_iter().next()?)));
    named.map(|(id, name)| Piece::ContainerName { id, name }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_names() {
        let name = |name: &str| Piece::ContainerName { id: "1e26".to_owned(), name: name.to_owned() };
        assert_eq!(docker(r#"{"Name":"/web","Config":{"Env":["A=b"]}}"#, "1e26"), Some(name("web")));
        assert_eq!(podman(r#"[{"id":"1e26","names":["db"]},{"id":"2"}]"#), [name("db")]);
        assert_eq!(podman("torn"), []);
    }
}
