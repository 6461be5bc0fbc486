//! The services of AWS: operations, shapes, pages, waiters, addresses and levels of access, unpacked when they are named.
//!
//! `scripts/aws-models` makes the file. Nothing in it is trusted to be well formed: what cannot be read is not there.

mod service;
mod shape;

use crate::limits::{AWS_MODEL_BYTES, AWS_SERVICES};
use flate2::read::DeflateDecoder;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

pub use service::{Acceptor, Access, Method, Pages, Place, Service, Waiter};
pub use shape::{Kind, Member, Reference, Shape, Traits};

/// The file, as it is in the binary.
static FILE: &[u8] = include_bytes!("models.bin");

const SIGN: &[u8] = b"STARRAWS2\n";

/// Where a service lies in the file.
#[derive(Clone, Copy, Debug)]
struct Block {
    offset: usize,
    length: usize,
    /// Bytes after unpacking.
    size: usize,
}

/// A part of the cloud with names of its own.
#[derive(Clone, Debug)]
pub struct Partition {
    /// `aws`, `aws-cn`
    pub id: String,
    /// `amazonaws.com`
    pub suffix: String,
    /// What the names of its regions look like.
    pattern: Option<regex::Regex>,
    pub regions: Vec<String>,
}

/// What the file begins with.
struct Index {
    partitions: Vec<Partition>,
    services: BTreeMap<String, Block>,
    /// Where the blocks begin.
    start: usize,
}

/// Unpacks what is at most `most` bytes.
fn unpack(packed: &[u8], most: usize) -> Option<String> {
    let mut text = Vec::with_capacity(most.min(AWS_MODEL_BYTES));
    let limit = u64::try_from(most.min(AWS_MODEL_BYTES)).ok()?;
    DeflateDecoder::new(packed)
        .take(limit + 1)
        .read_to_end(&mut text)
        .ok()?;
    (text.len() <= most).then_some(())?;
    String::from_utf8(text).ok()
}

impl Index {
    fn read(file: &[u8]) -> Option<Self> {
        let rest = file.strip_prefix(SIGN)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let packed = rest.get(..length)?;
        let text = unpack(packed, AWS_MODEL_BYTES)?;
        let mut lines = text.lines();
        let head: serde_json::Value = serde_json::from_str(lines.next()?).ok()?;
        let partitions = head.get("partitions")?.as_array()?.iter().map(|partition| {
            let text = |at: usize| partition.get(at)?.as_str().map(str::to_owned);
            Some(Partition {
                id: text(0)?,
                suffix: text(1)?,
                pattern: regex::Regex::new(&text(2)?).ok(),
                regions: partition
                    .get(3)?
                    .as_array()?
                    .iter()
                    .filter_map(|region| region.as_str().map(str::to_owned))
                    .collect(),
            })
        });
        let services = lines.take(AWS_SERVICES).map(|line| {
            let (name, offset, length, size): (String, usize, usize, usize) = serde_json::from_str(line).ok()?;
            Some((name, Block { offset, length, size }))
        });
        Some(Self {
            partitions: partitions.collect::<Option<_>>()?,
            services: services.collect::<Option<_>>()?,
            start: SIGN.len() + 4 + length,
        })
    }

    fn service(&self, file: &[u8], name: &str) -> Option<Service> {
        let block = self.services.get(name)?;
        let from = self.start.checked_add(block.offset)?;
        let packed = file.get(from..from.checked_add(block.length)?)?;
        Service::read(name, unpack(packed, block.size)?)
    }
}

static INDEX: LazyLock<Option<Index>> = LazyLock::new(|| Index::read(FILE));

/// Services that were named, unpacked once.
static SERVICES: Mutex<BTreeMap<String, Arc<Service>>> = Mutex::new(BTreeMap::new());

/// The names of all services, as calls have them.
pub fn services() -> impl Iterator<Item = &'static str> {
    INDEX.iter().flat_map(|index| index.services.keys().map(String::as_str))
}

/// The service of this name.
pub fn service(name: &str) -> Option<Arc<Service>> {
    let mut known = SERVICES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(service) = known.get(name) {
        return Some(Arc::clone(service));
    }
    let service = Arc::new(INDEX.as_ref()?.service(FILE, name)?);
    known.insert(name.to_owned(), Arc::clone(&service));
    Some(service)
}

/// The partition that a region belongs to: by its list, else by the look of the name, else the first.
pub fn partition(region: &str) -> Option<&'static Partition> {
    let partitions = &INDEX.as_ref()?.partitions;
    partitions
        .iter()
        .find(|partition| partition.regions.iter().any(|known| known == region))
        .or_else(|| {
            partitions.iter().find(|partition| {
                partition
                    .pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(region))
            })
        })
        .or_else(|| partitions.first())
}

/// A path of an operation as service and rest: `ecs` and `update_service`.
pub fn split(path: &str) -> Option<(&str, &str)> {
    path.split_once('.').filter(|(_, rest)| !rest.contains('.'))
}

#[cfg(test)]
mod tests;
