//! What somebody most likely meant: the nearest of the known names.

use strsim::osa_distance;

/// Longest name that is compared, in characters: a longer one is no misspelling of anything.
const LONGEST: usize = 48;

/// The candidate nearest to `name`, when it is near enough to be a misspelling.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().take(LONGEST + 1).count();
    if length > LONGEST {
        return None;
    }
    let wanted = name.to_ascii_lowercase();
    let allowed = (length / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if candidate == name || candidate.len() > 4 * LONGEST {
            continue;
        }
        if candidate.chars().count().abs_diff(length) > allowed {
            continue;
        }
        let distance = osa_distance(&wanted, &candidate.to_ascii_lowercase());
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in backticks; at most eight of them.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut out = String::new();
    for (index, name) in names.iter().take(8).enumerate() {
        if index > 0 {
            out.push_str(if index + 1 == names.len() { " and " } else { ", " });
        }
        out.push('`');
        out.push_str(name);
        out.push('`');
    }
    if names.len() > 8 {
        out.push_str(", …");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_name() {
        let known = ["sessions", "state", "older_than"];
        assert_eq!(nearest("sesions", known), Some("sessions"));
        assert_eq!(nearest("stats", known), Some("state"));
        assert_eq!(nearest("odler_than", known), Some("older_than"));
        assert_eq!(nearest("replicas", known), None);
    }

    #[test]
    fn a_very_long_name_is_nobody() {
        assert_eq!(nearest(&"a".repeat(10_000), ["a"]), None);
    }

    #[test]
    fn names_are_listed_in_words() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(listed(["a"]), "`a`");
    }
}
