//! What the rules of a network security group say of one kind of connection: the first that applies decides. A rule that may or may not apply
//! decides nothing: whether it does is not guessed.

use ipnet::IpNet;
use serde_json::Value as Json;
use std::net::IpAddr;

/// The connections that are asked about.
pub struct Traffic<'a> {
    /// `Inbound` or `Outbound`.
    pub direction: &'a str,
    /// `Tcp`, `Udp`, `Icmp`, …
    pub protocol: &'a str,
    pub port: u16,
    /// The other side: an address, a network, or a service tag.
    pub peer: &'a str,
    /// The networks of this side; none at all where they are not known.
    pub mine: Vec<&'a str>,
}

/// Whether a part of a rule is about the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Applies {
    No,
    /// About a part of it, or it is not known.
    Maybe,
    Yes,
}

use Applies::{Maybe, No, Yes};

fn sure(yes: bool) -> Applies {
    if yes { Yes } else { No }
}

/// One of them is enough. An empty list stands for application security groups, whose members are elsewhere.
fn any(entries: &Json, applies: impl Fn(&str) -> Applies) -> Applies {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let each = entries.iter().map(|entry| entry.as_str().map_or(Maybe, &applies));
    each.max().unwrap_or(Maybe)
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

fn is_everything(text: &str) -> bool {
    text == "*" || network(text).is_some_and(|network| network.prefix_len() == 0)
}

/// Only inside of companies' networks.
fn is_private(network: &IpNet) -> bool {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
        .iter()
        .filter_map(|private| self::network(private))
        .any(|private| private.contains(network))
}

/// Whether an entry of a rule covers an address, a network or a service tag.
fn covers(entry: &str, wanted: &str) -> Applies {
    if is_everything(entry) || entry.eq_ignore_ascii_case(wanted) {
        return Yes;
    }
    if is_everything(wanted) {
        return Maybe;
    }
    match (network(entry), network(wanted)) {
        (Some(entry), Some(wanted)) if entry.contains(&wanted) => Yes,
        (Some(entry), Some(wanted)) => {
            if wanted.contains(&entry) {
                Maybe
            } else {
                No
            }
        }
        // Service tags are public addresses, but for the network's own.
        (Some(entry), None) if is_private(&entry) && !wanted.eq_ignore_ascii_case("VirtualNetwork") => No,
        (Some(_), None) | (None, Some(_)) => Maybe,
        (None, None) => tag_covers(&entry.to_ascii_lowercase(), &wanted.to_ascii_lowercase()),
    }
}

/// Whether a service tag covers another one; both in small letters.
fn tag_covers(entry: &str, wanted: &str) -> Applies {
    let part_of = |part: &str, whole: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'));
    let own = |tag: &str| matches!(tag, "virtualnetwork" | "azureloadbalancer");
    // Tags that hold others.
    let wide = |tag: &str| tag == "internet" || tag == "azurecloud" || part_of(tag, "azurecloud");
    if part_of(wanted, entry) {
        Yes
    } else if own(entry) || own(wanted) {
        No
    } else if entry == "internet" {
        Yes
    } else if part_of(entry, wanted) || wide(entry) || wide(wanted) {
        Maybe
    } else {
        No
    }
}

fn port_is_in(entry: &str, port: u16) -> Applies {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let (first, last) = entry.split_once('-').unwrap_or((entry, entry));
    match (entry, number(first), number(last)) {
        ("*", ..) => Yes,
        (_, Some(first), Some(last)) => sure((first..=last).contains(&port)),
        _ => Maybe,
    }
}

fn applies(rule: &Json, traffic: &Traffic<'_>) -> Applies {
    let said = |name: &str| rule["properties"][name].as_str().unwrap_or_default();
    let protocol = said("protocol");
    let (peers, own) = if traffic.direction.eq_ignore_ascii_case("Outbound") {
        (&rule["destinations"], &rule["sources"])
    } else {
        (&rule["sources"], &rule["destinations"])
    };
    let mine = if traffic.mine.is_empty() {
        let whole = |entry: &str| is_everything(entry) || entry.eq_ignore_ascii_case("VirtualNetwork");
        any(own, |entry| if whole(entry) { Yes } else { Maybe })
    } else {
        let each = |mine: &&str| {
            any(own, |entry| match covers(entry, mine) {
                // The networks of this side are the virtual network's.
                _ if entry.eq_ignore_ascii_case("VirtualNetwork") => Yes,
                applies => applies,
            })
        };
        let all: Vec<Applies> = traffic.mine.iter().map(each).collect();
        match (all.iter().min(), all.iter().max()) {
            (Some(Yes), _) => Yes,
            (_, Some(No)) => No,
            _ => Maybe,
        }
    };
    [
        sure(said("direction").eq_ignore_ascii_case(traffic.direction)),
        sure(protocol == "*" || protocol.eq_ignore_ascii_case(traffic.protocol)),
        any(&rule["ports"], |entry| port_is_in(entry, traffic.port)),
        any(peers, |entry| covers(entry, traffic.peer)),
        mine,
    ]
    .into_iter()
    .min()
    .unwrap_or(No)
}

/// The rule that decides; `None` where no rule of the group's own applies. Rules have `sources`, `destinations` and `ports` as lists, beside what the
/// service says of them.
///
/// # Errors
/// A rule that may apply comes before, and says something else.
pub fn deciding<'a>(rules: &'a [Json], traffic: &Traffic<'_>) -> Result<Option<&'a Json>, String> {
    let access = |rule: &Json| rule["properties"]["access"].as_str().unwrap_or_default().to_owned();
    let mut sorted: Vec<&Json> = rules.iter().collect();
    sorted.sort_by_key(|rule| rule["properties"]["priority"].as_i64());
    let mut open: Vec<&Json> = Vec::new();
    let unclear = |rule: &Json| {
        let name = rule["name"].as_str().unwrap_or("?");
        let priority = &rule["properties"]["priority"];
        Err(format!(
            "whether the rule `{name}` (priority {priority}) is about {} at port {} is not known",
            traffic.peer, traffic.port
        ))
    };
    for rule in sorted {
        match applies(rule, traffic) {
            No => {}
            Maybe => open.push(rule),
            Yes => {
                return match open.iter().find(|earlier| access(earlier) != access(rule)) {
                    Some(earlier) => unclear(earlier),
                    None => Ok(Some(rule)),
                };
            }
        }
    }
    open.first().map_or(Ok(None), |rule| unclear(rule))
}

#[cfg(test)]
mod tests {
    use super::{Traffic, deciding};
    use serde_json::{Value as Json, json};

    fn rule(priority: i64, access: &str, ports: &[&str], peers: &[&str]) -> Json {
        json!({"name": format!("r{priority}"), "ports": ports, "destinations": peers, "sources": ["*"],
            "properties": {"priority": priority, "access": access, "direction": "Outbound", "protocol": "*"}})
    }

    fn to(peer: &str) -> Traffic<'_> {
        Traffic {
            direction: "Outbound",
            protocol: "Tcp",
            port: 443,
            peer,
            mine: Vec::new(),
        }
    }

    /// `Ok("Deny r200")`, `Ok("")`, or why not.
    fn said(rules: &[Json], traffic: &Traffic<'_>) -> Result<String, String> {
        let shown = |rule: &Json| {
            let access = rule["properties"]["access"].as_str().unwrap();
            format!("{access} {}", rule["name"].as_str().unwrap())
        };
        deciding(rules, traffic).map(|found| found.map_or(String::new(), shown))
    }

    #[test]
    fn ranges_and_lists_of_ports_are_looked_into() {
        for (ports, decided) in [
            (&["*"][..], true),
            (&["443"], true),
            (&["0-65535"], true),
            (&["80", "400-500"], true),
            (&["80", "444-500"], false),
            (&["0-442"], false),
        ] {
            let found = said(&[rule(200, "Deny", ports, &["*"])], &to("AzureCosmosDB"));
            assert_eq!(found.unwrap() == "Deny r200", decided, "{ports:?}");
        }
        let strange = said(&[rule(200, "Deny", &["https"], &["*"])], &to("AzureCosmosDB"));
        assert!(strange.unwrap_err().contains("`r200` (priority 200)"));
    }

    #[test]
    fn the_lowest_number_counts_whatever_the_order() {
        let rules = [
            rule(300, "Deny", &["*"], &["*"]),
            rule(100, "Allow", &["443"], &["AzureCosmosDB"]),
            rule(90, "Deny", &["22"], &["*"]),
        ];
        assert_eq!(said(&rules, &to("AzureCosmosDB")).unwrap(), "Allow r100");
        assert_eq!(said(&rules, &to("AzureKeyVault")).unwrap(), "Deny r300");
        assert_eq!(said(&[], &to("AzureKeyVault")).unwrap(), "");
        let mut inbound = rule(80, "Deny", &["*"], &["*"]);
        inbound["properties"]["direction"] = json!("Inbound");
        let mut other = rule(81, "Deny", &["*"], &["*"]);
        other["properties"]["protocol"] = json!("Udp");
        assert_eq!(said(&[inbound, other], &to("AzureKeyVault")).unwrap(), "");
    }

    #[test]
    fn places_are_compared_and_what_is_not_known_decides_nothing() {
        let one = |entry: &str, peer: &str| said(&[rule(200, "Deny", &["*"], &[entry])], &to(peer));
        for (entry, peer) in [
            ("*", "10.0.0.4"),
            ("0.0.0.0/0", "AzureCosmosDB"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("10.0.0.0/8", "10.1.0.0/16"),
            ("azurecosmosdb", "AzureCosmosDB"),
            ("AzureCosmosDB", "AzureCosmosDB.WestEurope"),
            ("Internet", "AzureCosmosDB"),
        ] {
            assert_eq!(one(entry, peer).unwrap(), "Deny r200", "{entry} {peer}");
        }
        for (entry, peer) in [
            ("10.2.0.0/16", "10.1.2.3"),
            ("10.0.0.0/8", "AzureCosmosDB"),
            ("Storage", "AzureCosmosDB"),
            ("VirtualNetwork", "AzureCosmosDB"),
            ("Internet", "VirtualNetwork"),
        ] {
            assert_eq!(one(entry, peer).unwrap(), "", "{entry} {peer}");
        }
        for (entry, peer) in [
            ("10.1.2.3", "10.1.0.0/16"),
            ("AzureCosmosDB.WestEurope", "AzureCosmosDB"),
            ("AzureCloud", "AzureCosmosDB"),
            ("AzureCloud.WestEurope", "Storage"),
            ("20.1.0.0/16", "AzureCosmosDB"),
            ("VirtualNetwork", "10.1.2.3"),
            ("AzureCosmosDB", "20.1.2.3"),
            ("AzureCosmosDB", "*"),
        ] {
            assert!(one(entry, peer).is_err(), "{entry} {peer}");
        }
        // Application security groups stand elsewhere.
        assert!(said(&[rule(200, "Deny", &["*"], &[])], &to("10.1.2.3")).is_err());
    }

    #[test]
    fn a_rule_that_may_apply_matters_only_when_it_says_something_else() {
        let deny = rule(200, "Deny", &["*"], &["*"]);
        let same = [rule(100, "Deny", &["*"], &["AzureCloud"]), deny.clone()];
        assert_eq!(said(&same, &to("AzureCosmosDB")).unwrap(), "Deny r200");
        let other = [rule(100, "Allow", &["*"], &["AzureCloud"]), deny];
        let why = said(&other, &to("AzureCosmosDB")).unwrap_err();
        assert_eq!(
            why,
            "whether the rule `r100` (priority 100) is about AzureCosmosDB at port 443 is not known"
        );
        // Behind the one that decides nothing matters.
        let later = [
            rule(100, "Allow", &["*"], &["AzureCosmosDB"]),
            rule(200, "Deny", &["*"], &["AzureCloud"]),
        ];
        assert_eq!(said(&later, &to("AzureCosmosDB")).unwrap(), "Allow r100");
    }

    #[test]
    fn the_networks_of_this_side_count() {
        let mut narrow = rule(100, "Deny", &["*"], &["*"]);
        narrow["sources"] = json!(["10.0.1.0/24"]);
        let from = |mine: &[&'static str]| Traffic {
            mine: mine.to_vec(),
            ..to("AzureCosmosDB")
        };
        let rules = [narrow];
        assert!(said(&rules, &from(&[])).is_err());
        assert_eq!(said(&rules, &from(&["10.0.1.0/25"])).unwrap(), "Deny r100");
        assert_eq!(said(&rules, &from(&["10.0.2.0/24"])).unwrap(), "");
        assert!(said(&rules, &from(&["10.0.1.0/25", "10.0.2.0/24"])).is_err());
        let whole = [rule(100, "Deny", &["*"], &["*"])];
        assert_eq!(said(&whole, &from(&["10.0.2.0/24"])).unwrap(), "Deny r100");
    }
}
