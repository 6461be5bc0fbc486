//! Ways to resources, and what the table of types says of them.

use crate::provider::resource_types::find;
pub use crate::provider::resource_types::{Action, Kind, Level, nearest};
use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown};

/// The type of this name; case does not matter, as for the resource manager.
///
/// # Errors
/// There is none, with the nearest name.
pub fn kind(name: &str) -> Result<&'static Kind, Unknown> {
    find(name).ok_or_else(|| wrong(Reason::Unparsable, unknown_kind(name)))
}

fn unknown_kind(name: &str) -> String {
    let shown = crate::providers::failure::excerpt(name, 80);
    match nearest(name) {
        Some(near) => format!("no type `{shown}` is known; `{near}` is"),
        None => format!("no type `{shown}` is known"),
    }
}

impl Kind {
    /// Whether this can be done with it.
    ///
    /// # Errors
    /// Says what can.
    pub fn can(&self, verb: &str) -> Result<(), Unknown> {
        self.cannot(verb)
            .map_or(Ok(()), |problem| Err(wrong(Reason::Unparsable, problem)))
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
    use super::{Level, id, is_name, kind, nearest};
    use crate::provider::resource_types::kinds;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert!(kinds().len() > 400, "{}", kinds().len());
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
