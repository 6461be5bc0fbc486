//! One service: its operations, waiters and shapes, each read from its line when it is asked for.

use super::Shape;
use super::shape::{Kind, Member};
use crate::limits::AWS_SHAPES;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What an operation may do to what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    List,
    Read,
    Write,
    Permissions,
    Tagging,
    /// The data does not say.
    Unknown,
}

impl Access {
    fn of(letter: &str) -> Self {
        match letter {
            "l" => Access::List,
            "r" => Access::Read,
            "w" => Access::Write,
            "p" => Access::Permissions,
            "t" => Access::Tagging,
            _ => Access::Unknown,
        }
    }

    /// True when nothing is changed by it; what is not known changes something.
    pub fn is_read(self) -> bool {
        matches!(self, Access::List | Access::Read)
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Access::List => "list",
            Access::Read => "read",
            Access::Write => "write",
            Access::Permissions => "permissions",
            Access::Tagging => "tagging",
            Access::Unknown => "not known",
        }
    }
}

/// Facts of a service, from its first line.
#[derive(Clone, Debug, Deserialize)]
struct About {
    #[serde(rename = "v")]
    version: String,
    #[serde(rename = "p")]
    protocol: String,
    #[serde(rename = "e")]
    endpoint_prefix: String,
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "o")]
    operations: usize,
    #[serde(rename = "w")]
    waiters: usize,
    #[serde(rename = "j", default)]
    json_version: Option<String>,
    #[serde(rename = "t", default)]
    target_prefix: Option<String>,
    #[serde(rename = "s")]
    signing_name: String,
    #[serde(rename = "x", default)]
    namespace: Option<String>,
    #[serde(rename = "a", default)]
    iam_prefix: Option<String>,
    #[serde(rename = "q", default)]
    query_compatible: u8,
    #[serde(rename = "n", default)]
    full_name: String,
    #[serde(rename = "r", default)]
    resources: BTreeMap<String, String>,
    #[serde(rename = "g", default)]
    signature: Option<String>,
    #[serde(rename = "u", default)]
    endpoints: BTreeMap<String, Vec<Json>>,
}

/// How an answer goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Parameters that take a token.
    pub input: Vec<String>,
    /// Where the tokens stand in the answer, as JMESPath.
    pub output: Vec<String>,
    /// What is put together, as JMESPath.
    pub results: Vec<String>,
    /// A switch that says whether there is more.
    pub more: Option<String>,
    /// The parameter for the size of a page.
    pub limit: Option<String>,
}

/// [`Pages`] as they stand in the file.
type PagesLine = (Vec<String>, Vec<String>, Vec<String>, Option<String>, Option<String>);

/// What is special about an operation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct More {
    #[serde(rename = "n")]
    root: Option<String>,
    #[serde(rename = "ns")]
    namespace: Option<(String, Option<String>)>,
    #[serde(rename = "h")]
    host_prefix: Option<String>,
    #[serde(rename = "a")]
    authentication: Option<String>,
    #[serde(rename = "c")]
    checksum: u8,
    #[serde(rename = "d")]
    deprecated: u8,
    #[serde(rename = "p")]
    pages: Option<PagesLine>,
    #[serde(rename = "x")]
    action: Option<String>,
    #[serde(rename = "r")]
    resources: Vec<String>,
}

/// An operation of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// `update_service`
    pub path: String,
    /// `UpdateService`
    pub name: String,
    pub verb: String,
    /// With labels in braces.
    pub uri: String,
    pub input: Option<usize>,
    pub output: Option<usize>,
    pub access: Access,
    pub pages: Option<Pages>,
    pub deprecated: bool,
    /// `{AccountId}.`
    pub host_prefix: Option<String>,
    /// True when it is called without a signature.
    pub unsigned: bool,
    /// The body needs a checksum.
    pub checksum: bool,
    /// The root of an XML body.
    pub root: Option<String>,
    pub namespace: Option<(String, Option<String>)>,
    /// The action of IAM.
    pub action: String,
    /// Kinds of resources that the action is about.
    pub resources: Vec<String>,
}

/// A step of a waiter: what an answer must look like for a state.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// `success`, `failure`, `retry`
    pub state: String,
    /// `path`, `pathAll`, `pathAny`, `status`, `error`
    pub matcher: String,
    pub expected: Json,
    pub argument: Option<String>,
}

/// Waiting for a state of something.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// `wait_services_stable`
    pub path: String,
    pub name: String,
    /// The operation that is asked: `describe_services`.
    pub operation: String,
    /// Seconds between two questions.
    pub delay: u64,
    pub attempts: u64,
    pub acceptors: Vec<Acceptor>,
}

/// Where a service is in a region, and how a request to it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub url: String,
    pub signing_name: String,
    pub signing_region: String,
}

/// Where a shape stands, and what it is once somebody asked.
type ShapeLine = (Range<usize>, OnceLock<Option<Arc<Shape>>>);

/// A service.
#[derive(Debug)]
pub struct Service {
    /// `ecs`
    pub name: String,
    text: String,
    about: About,
    operations: Vec<Range<usize>>,
    waiters: Vec<Range<usize>>,
    shapes: Vec<ShapeLine>,
}

impl Service {
    /// Reads the lines of a service.
    pub(super) fn read(name: &str, text: String) -> Option<Self> {
        let start = text.as_ptr() as usize;
        let ranges: Vec<Range<usize>> = text
            .lines()
            .map(|line| {
                let from = line.as_ptr() as usize - start;
                from..from + line.len()
            })
            .collect();
        let about: About = serde_json::from_str(text.get(ranges.first()?.clone())?).ok()?;
        let mut rest = ranges.into_iter().skip(1);
        let operations: Vec<_> = rest.by_ref().take(about.operations).collect();
        let waiters: Vec<_> = rest.by_ref().take(about.waiters).collect();
        let shapes: Vec<_> = rest.take(AWS_SHAPES).map(|range| (range, OnceLock::new())).collect();
        (operations.len() == about.operations && waiters.len() == about.waiters).then_some(Self {
            name: name.to_owned(),
            text,
            about,
            operations,
            waiters,
            shapes,
        })
    }

    fn line(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The line that begins with this name, without reading the others.
    fn named<'a>(&'a self, lines: &'a [Range<usize>], name: &str) -> Option<&'a str> {
        lines
            .iter()
            .map(|range| self.line(range))
            .find(|line| first(line) == Some(name))
    }

    /// The operation of this path: `update_service`.
    pub fn method(&self, path: &str) -> Option<Method> {
        method(self.named(&self.operations, path)?)
    }

    /// The operation of this name of the interface: `UpdateService`.
    pub fn method_named(&self, name: &str) -> Option<Method> {
        self.methods().find(|method| method.name == name)
    }

    /// All operations.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        self.operations.iter().filter_map(|range| method(self.line(range)))
    }

    /// The waiter of this path: `wait_services_stable`.
    pub fn waiter(&self, path: &str) -> Option<Waiter> {
        waiter(self.named(&self.waiters, path)?)
    }

    /// All waiters.
    pub fn waiters(&self) -> impl Iterator<Item = Waiter> {
        self.waiters.iter().filter_map(|range| waiter(self.line(range)))
    }

    /// The paths of operations and waiters.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let lines = self.operations.iter().chain(&self.waiters);
        lines.filter_map(|range| first(self.line(range)))
    }

    /// The shape of this number.
    pub fn shape(&self, number: usize) -> Option<Arc<Shape>> {
        let (range, shape) = self.shapes.get(number)?;
        shape
            .get_or_init(|| Shape::read(self.line(range)).map(Arc::new))
            .clone()
    }

    /// How many shapes there are.
    pub fn shape_count(&self) -> usize {
        self.shapes.len()
    }

    /// The members of a structure; none for anything else.
    pub fn members(&self, shape: Option<usize>) -> Vec<Member> {
        match shape.and_then(|shape| self.shape(shape)).as_deref() {
            Some(Shape {
                kind: Kind::Structure { members, .. },
                ..
            }) => members.clone(),
            _ => Vec::new(),
        }
    }

    /// `json`, `rest-json`, `rest-xml`, `query`, `ec2`, `smithy-rpc-v2-cbor`
    pub fn protocol(&self) -> &str {
        &self.about.protocol
    }

    pub fn version(&self) -> &str {
        &self.about.version
    }

    /// `ECS`
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// `Amazon EC2 Container Service`
    pub fn full_name(&self) -> &str {
        &self.about.full_name
    }

    pub fn json_version(&self) -> &str {
        self.about.json_version.as_deref().unwrap_or("1.0")
    }

    pub fn target_prefix(&self) -> Option<&str> {
        self.about.target_prefix.as_deref()
    }

    pub fn namespace(&self) -> Option<&str> {
        self.about.namespace.as_deref()
    }

    /// The name before the colon of its actions; `None` when the data has no actions of it.
    pub fn iam_prefix(&self) -> Option<&str> {
        self.about.iam_prefix.as_deref()
    }

    /// True when it once spoke the query protocol and still names errors by it.
    pub fn is_query_compatible(&self) -> bool {
        self.about.query_compatible != 0
    }

    /// True when it is asked with the signature that everything else is asked with.
    pub fn is_signed_with_v4(&self) -> bool {
        self.about
            .signature
            .as_deref()
            .is_none_or(|signature| matches!(signature, "s3" | "v4"))
    }

    /// The name of a resource of this kind: `arn:aws:ecs:{Region}:{Account}:service/${ClusterName}/${ServiceName}`.
    pub fn resource(&self, kind: &str, partition: &str, region: &str, account: &str) -> Option<String> {
        let short = self.about.resources.get(kind)?;
        Some(
            short
                .replacen('~', &format!("arn:{partition}:"), 1)
                .replacen('^', &format!("{region}:{account}"), 1)
                .replace("${Partition}", partition)
                .replace("${Region}", region)
                .replace("${Account}", account),
        )
    }

    /// Where the service is in a region.
    pub fn place(&self, region: &str) -> Option<Place> {
        let partition = super::partition(region)?;
        let endpoints = &self.about.endpoints;
        let lines = endpoints.get(&partition.id).or_else(|| endpoints.get("*"));
        let special = lines
            .and_then(|lines| lines.get(1))
            .and_then(|others| others.get(region));
        let line = special.or_else(|| lines.and_then(|lines| lines.first()));
        let part = |at: usize| line.and_then(|line| line.get(at)).and_then(Json::as_str);
        let template = part(0).map_or_else(
            || format!("https://{}.{{region}}.{{suffix}}", self.about.endpoint_prefix),
            str::to_owned,
        );
        Some(Place {
            url: template
                .replace("{region}", region)
                .replace("{suffix}", &partition.suffix),
            signing_name: part(1).unwrap_or(&self.about.signing_name).to_owned(),
            signing_region: part(2).unwrap_or(region).to_owned(),
        })
    }
}

/// The first text of a line.
fn first(line: &str) -> Option<&str> {
    line.strip_prefix("[\"")?.split_once('"').map(|(name, _)| name)
}

fn method(line: &str) -> Option<Method> {
    let json: Json = serde_json::from_str(line).ok()?;
    let text = |at: usize| json.get(at)?.as_str().map(str::to_owned);
    let shape = |at: usize| {
        json.get(at)
            .and_then(Json::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    let more = match json.get(7) {
        Some(more) => More::deserialize(more).ok()?,
        None => More::default(),
    };
    let name = text(1)?;
    Some(Method {
        path: text(0)?,
        verb: text(2)?,
        uri: text(3)?,
        input: shape(4),
        output: shape(5),
        access: Access::of(json.get(6)?.as_str()?),
        pages: more.pages.map(|(input, output, results, switch, limit)| Pages {
            input,
            output,
            results,
            more: switch,
            limit,
        }),
        deprecated: more.deprecated != 0,
        host_prefix: more.host_prefix,
        unsigned: more.authentication.is_some(),
        checksum: more.checksum != 0,
        root: more.root,
        namespace: more.namespace,
        action: more.action.unwrap_or_else(|| name.clone()),
        resources: more.resources,
        name,
    })
}

fn waiter(line: &str) -> Option<Waiter> {
    let json: Json = serde_json::from_str(line).ok()?;
    let text = |at: usize| json.get(at)?.as_str().map(str::to_owned);
    let acceptors = json.get(5)?.as_array()?.iter().map(|acceptor| {
        let text = |at: usize| acceptor.get(at)?.as_str().map(str::to_owned);
        Some(Acceptor {
            state: text(0)?,
            matcher: text(1)?,
            expected: acceptor.get(2)?.clone(),
            argument: text(3),
        })
    });
    Some(Waiter {
        path: text(0)?,
        name: text(1)?,
        operation: text(2)?,
        delay: json.get(3)?.as_u64()?,
        attempts: json.get(4)?.as_u64()?,
        acceptors: acceptors.collect::<Option<_>>()?,
    })
}
