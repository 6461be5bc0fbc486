//! Ways to resources, and what the table of types says of them.

use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown};
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

/// The table that `scripts/azure-types` makes.
const TABLE: &str = include_str!("data/types.tsv");

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
///
/// # Errors
/// There is none, with the nearest name.
pub fn kind(name: &str) -> Result<&'static Kind, Unknown> {
    KINDS
        .iter()
        .find(|kind| kind.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| wrong(Reason::Unparsable, unknown_kind(name)))
}

fn unknown_kind(name: &str) -> String {
    let shown = crate::providers::failure::excerpt(name, 80);
    match nearest(name) {
        Some(near) => format!("no type `{shown}` is known; `{near}` is"),
        None => format!("no type `{shown}` is known"),
    }
}

/// The type whose name is nearest, when one is near.
pub fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase();
    let last = wanted.rsplit('/').next().unwrap_or_default();
    let score = |kind: &Kind| {
        let known = kind.name.to_ascii_lowercase();
        let same_end = !last.is_empty() && known.ends_with(&format!("/{last}"));
        (distance(&wanted, &known), !same_end)
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

/// How many letters two words are apart.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().take(200).enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let above = row[column + 1];
            row[column + 1] = (above + 1)
                .min(row[column] + 1)
                .min(corner + usize::from(letter != *against));
            corner = above;
        }
    }
    row[other.len()]
}

impl Kind {
    /// Whether this can be done with it.
    ///
    /// # Errors
    /// Says what can.
    pub fn can(&self, verb: &str) -> Result<(), Unknown> {
        if self.verbs.contains(&verb) {
            return Ok(());
        }
        let word = match verb {
            "get" => "be read one by one",
            "list" => "be listed",
            "put" => "be put",
            "patch" => "be updated in parts",
            _ => "be deleted",
        };
        Err(wrong(Reason::Unparsable, format!("`{}` cannot {word}", self.name)))
    }

    /// The action of this name.
    ///
    /// # Errors
    /// There is none, or it answers with a secret.
    pub fn action(&self, name: &str) -> Result<&Action, Unknown> {
        let found = self
            .actions
            .iter()
            .find(|action| action.name.eq_ignore_ascii_case(name));
        match found {
            Some(action) if action.level == Level::Secret => Err(wrong(
                Reason::Denied,
                format!("`{}` answers with a secret: it is never asked", action.name),
            )),
            Some(action) => Ok(action),
            None => Err(wrong(
                Reason::Unparsable,
                format!(
                    "`{}` has no action `{}`",
                    self.name,
                    crate::providers::failure::excerpt(name, 80)
                ),
            )),
        }
    }

    /// The way below `/providers/` to one of them; `name` has as many parts as the type.
    ///
    /// # Errors
    /// The number of parts differs, or one of them is no name.
    pub fn way(&self, name: &str) -> Result<String, Unknown> {
        let (namespace, types) = self.name.split_once('/').unwrap_or((self.name, ""));
        let types: Vec<&str> = types.split('/').collect();
        let names: Vec<&str> = name.split('/').collect();
        if names.len() != types.len() {
            return Err(wrong(
                Reason::Unparsable,
                format!("`{}` takes {} names with `/` between them", self.name, types.len()),
            ));
        }
        let mut way = format!("/providers/{namespace}");
        for (kind, name) in types.iter().zip(&names) {
            way.push('/');
            way.push_str(kind);
            way.push('/');
            way.push_str(part(name)?);
        }
        Ok(way)
    }

    /// The way below `/providers/` to all of them below `parent`, which is empty for a type that has none.
    ///
    /// # Errors
    /// As [`Kind::way`].
    pub fn all(&self, parent: &str) -> Result<String, Unknown> {
        match self.name.matches('/').count() {
            1 if parent.is_empty() => Ok(format!("/providers/{}", self.name)),
            1 => Err(wrong(Reason::Unparsable, format!("`{}` has no parent", self.name))),
            _ => {
                let way = self.way(&format!("{parent}/x"))?;
                Ok(way.strip_suffix("/x").unwrap_or(&way).to_owned())
            }
        }
    }
}

/// True for what can stand as one part of a way.
pub fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 260
        && text != "."
        && text != ".."
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.chars().all(|letter| {
            letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '(' | ')' | ' ' | '@' | '$' | ':')
        })
}

/// One part of a way.
///
/// # Errors
/// It could be read as more than one, or as another.
pub fn part(text: &str) -> Result<&str, Unknown> {
    if is_name(text) {
        Ok(text)
    } else {
        Err(wrong(
            Reason::Unparsable,
            format!(
                "`{}` is not the name of a resource",
                crate::providers::failure::excerpt(text, 80)
            ),
        ))
    }
}

/// The id of a resource, as an argument gives it.
///
/// # Errors
/// It is none.
pub fn id(text: &str) -> Result<&str, Unknown> {
    let good = text.starts_with("/subscriptions/") && text.split('/').skip(1).all(is_name);
    good.then_some(text).ok_or_else(|| {
        wrong(
            Reason::Unparsable,
            "this is not the id of a resource: `/subscriptions/…`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Level, id, is_name, kind, kinds, nearest};

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = super::TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(kinds().len(), lines);
        assert!(lines > 400, "{lines}");
        for kind in kinds() {
            assert!(kind.version.len() >= 10 && kind.version.starts_with("20"), "{kind:?}");
            assert!(!kind.verbs.is_empty() || !kind.actions.is_empty(), "{kind:?}");
            assert!(kind.name.split('/').all(is_name), "{kind:?}");
        }
    }

    #[test]
    fn types_are_found_and_mistakes_get_the_nearest() {
        assert_eq!(
            kind("microsoft.app/containerapps").unwrap().name,
            "Microsoft.App/containerApps"
        );
        assert_eq!(
            nearest("Microsoft.App/containerApp"),
            Some("Microsoft.App/containerApps")
        );
        assert_eq!(nearest("containerApps"), Some("Microsoft.App/containerApps"));
        assert_eq!(nearest("bananas"), None);
        let problem = kind("Microsoft.Cache/rediss").unwrap_err();
        assert!(problem.detail.contains("`Microsoft.Cache/redis` is"), "{problem}");
    }

    #[test]
    fn ways_have_as_many_names_as_types() {
        let revisions = kind("Microsoft.App/containerApps/revisions").unwrap();
        assert_eq!(
            revisions.way("api/api--1").unwrap(),
            "/providers/Microsoft.App/containerApps/api/revisions/api--1"
        );
        assert_eq!(
            revisions.all("api").unwrap(),
            "/providers/Microsoft.App/containerApps/api/revisions"
        );
        for wrong in [
            "api",
            "api/a/b",
            "api/..",
            "api/a?b",
            "api/a%2fb",
            "/x",
            "api/a#",
            "api/",
        ] {
            assert!(revisions.way(wrong).is_err(), "{wrong}");
        }
        assert!(kind("Microsoft.App/containerApps").unwrap().all("x").is_err());
        assert!(id("/subscriptions/x/resourceGroups/y").is_ok());
        for wrong in [
            "",
            "x",
            "/subscriptions/../x",
            "/subscriptions//x",
            "/subscriptions/x?y",
        ] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_answers_with_a_secret_is_never_asked() {
        for (name, action) in [
            ("Microsoft.DocumentDB/databaseAccounts", "listKeys"),
            ("Microsoft.DocumentDB/databaseAccounts", "listConnectionStrings"),
            ("Microsoft.Cache/redis", "listKeys"),
            ("Microsoft.SignalRService/signalR", "listKeys"),
            ("Microsoft.CognitiveServices/accounts", "listKeys"),
            ("Microsoft.ContainerRegistry/registries", "listCredentials"),
            ("Microsoft.App/containerApps", "listSecrets"),
            ("Microsoft.App/containerApps", "getAuthtoken"),
        ] {
            assert!(kind(name).unwrap().action(action).is_err(), "{name} {action}");
        }
        let all: Vec<&str> = kinds()
            .iter()
            .flat_map(|kind| &kind.actions)
            .filter(|action| action.level == Level::Read)
            .map(|action| action.name)
            .collect();
        assert!(!all.is_empty());
        for name in all {
            let lower = name.to_ascii_lowercase();
            assert!(
                !lower.contains("secret") && !lower.contains("listkeys") && !lower.contains("credential"),
                "{name}"
            );
        }
        assert_eq!(
            kind("Microsoft.App/containerApps/revisions")
                .unwrap()
                .action("restart")
                .unwrap()
                .level,
            Level::Change
        );
    }
}
