//! `--config-file`: etcd's flags in YAML. The names are those of the flags, but that the ones of
//! TLS stand in two mappings of their own, without what they have in common.

use yaml_rust2::{Yaml, YamlLoader};

/// The mappings of TLS, and what comes before the names in them.
const TLS: [(&str, &str); 2] =
    [("client-transport-security", ""), ("peer-transport-security", "peer-")];

/// The flags in a file, with their values.
///
/// # Errors
/// One sentence: the file cannot be read, or where it is no such file.
pub fn read(path: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = |what: String| format!("--config-file {path}: {what}");
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let documents = YamlLoader::load_from_str(&text).map_err(|error| wrong(error.to_string()))?;
    match documents.first() {
        Some(document) => flags_of(document).map_err(wrong),
        None => Ok(Vec::new()),
    }
}

fn flags_of(document: &Yaml) -> Result<Vec<(String, String)>, String> {
    let mut flags = Vec::new();
    for (name, value) in mapping(document, "the file")? {
        match TLS.iter().find(|(mapping, _)| *mapping == name) {
            Some((_, prefix)) => {
                for (part, value) in mapping(value, &name)? {
                    flags.extend(scalar(&part, value)?.map(|text| (flag_of(prefix, &part), text)));
                }
            }
            None => flags.extend(scalar(&name, value)?.map(|text| (name, text))),
        }
    }
    Ok(flags)
}

fn flag_of(prefix: &str, part: &str) -> String {
    match (prefix, part) {
        ("", "allowed-hostname") => "client-cert-allowed-hostname".into(),
        (_, "allowed-cn" | "allowed-hostname") => format!("{prefix}cert-{part}"),
        ("", "crl-file") => "client-crl-file".into(),
        _ => format!("{prefix}{part}"),
    }
}

fn mapping<'a>(value: &'a Yaml, name: &str) -> Result<Vec<(String, &'a Yaml)>, String> {
    let found = match value {
        Yaml::Hash(found) => found,
        Yaml::Null => return Ok(Vec::new()),
        _ => return Err(format!("{name} is no mapping of names to values")),
    };
    let named = found.iter().map(|(name, value)| match name.as_str() {
        Some(name) => Ok((name.to_owned(), value)),
        None => Err(format!("{name:?} is no name")),
    });
    named.collect()
}

/// The value as it would stand on the command line; nothing where there is none.
fn scalar(name: &str, value: &Yaml) -> Result<Option<String>, String> {
    let text = match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(switch) => switch.to_string(),
        Yaml::Null => return Ok(None),
        Yaml::Array(parts) => {
            let parts: Result<Vec<_>, _> = parts.iter().map(|part| scalar(name, part)).collect();
            parts?.into_iter().flatten().collect::<Vec<_>>().join(",")
        }
        _ => return Err(format!("{name} has no value that a flag can have")),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}
