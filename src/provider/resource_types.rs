//! Types of resources of Azure: data that the checker and the provider share.

use std::sync::LazyLock;

/// A type of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// `Microsoft.App/containerApps/revisions`
    pub name: &'static str,
    /// The version of the interface that it is asked in.
    pub version: &'static str,
    /// What can be done with it: `get`, `list`, `put`, `patch`, `delete`.
    pub verbs: Vec<&'static str>,
    /// Its actions.
    pub actions: Vec<Action>,
}

/// An action of a type.
#[derive(Debug, PartialEq, Eq)]
pub struct Action {
    pub name: &'static str,
    pub level: Level,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It changes nothing.
    Read,
    /// It answers with a secret.
    Secret,
    /// It changes something, or nobody has said that it does not.
    Change,
}

/// The longest name that is compared, in bytes: a longer one is no misspelling of anything.
const LONGEST: usize = 200;

/// The table that `scripts/azure-types` makes.
const TABLE: &str = include_str!("../providers/azure/data/types.tsv");

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| TABLE.lines().filter_map(kind_of).collect());

fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(',').filter(|word| !word.is_empty() && *word != "-")
}

fn kind_of(line: &'static str) -> Option<Kind> {
    let mut columns = line.split('\t');
    let name = columns.next().filter(|name| !name.starts_with('#'))?;
    let version = columns.next()?;
    let verbs = list(columns.next()?).collect();
    let action = |word: &'static str| match (word.strip_suffix('?'), word.strip_suffix('$')) {
        (Some(name), _) => Action {
            name,
            level: Level::Read,
        },
        (_, Some(name)) => Action {
            name,
            level: Level::Secret,
        },
        _ => Action {
            name: word,
            level: Level::Change,
        },
    };
    Some(Kind {
        name,
        version,
        verbs,
        actions: list(columns.next()?).map(action).collect(),
    })
}

/// All types, in the order of their names.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// The type of this name; case does not matter, as for the resource manager.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
}

impl Kind {
    /// Why this cannot be done with it.
    pub fn cannot(&self, verb: &str) -> Option<String> {
        if self.verbs.contains(&verb) {
            return None;
        }
        let word = match verb {
            "get" => "be read one by one",
            "list" => "be listed",
            "put" => "be put",
            "patch" => "be updated in parts",
            _ => "be deleted",
        };
        Some(format!("`{}` cannot {word}", self.name))
    }
}

/// The type whose name is nearest, when one is near.
pub fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    let last = wanted.rsplit('/').next().unwrap_or_default();
    let score = |kind: &Kind| {
        let known = kind.name.to_ascii_lowercase();
        let same_end = !last.is_empty() && known.ends_with(&format!("/{last}"));
        (strsim::osa_distance(&wanted, &known), !same_end)
    };
    let best = KINDS.iter().min_by_key(|kind| score(kind))?;
    let (away, _) = score(best);
    if away <= (wanted.len() / 4).max(2) {
        return Some(best.name);
    }
    // Only the last part was written, or another namespace in front of it.
    KINDS
        .iter()
        .find(|kind| {
            let end = kind.name.rsplit('/').next().unwrap_or_default();
            end.eq_ignore_ascii_case(last)
        })
        .map(|kind| kind.name)
}

#[cfg(test)]
mod tests {
    use super::{TABLE, find, kinds};

    #[test]
    fn every_line_is_a_type() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(kinds().len(), lines);
        assert!(find("MICROSOFT.APP/CONTAINERAPPS").is_some() && find("x").is_none());
    }
}
