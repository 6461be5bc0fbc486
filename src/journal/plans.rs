//! Which runs a plan was used for.

use super::entry::Entry;
use super::storage::Which;
use super::store::Store;
use super::{Error, words};
use futures::StreamExt as _;

impl Store {
    /// The runs that were started from this plan, oldest first, by the bytes of their first entries.
    pub async fn runs_of_plan(&self, plan: &[u8; 32]) -> Result<Vec<String>, Error> {
        let mut reading = self.reading().await?;
        let runs = reading.reader().runs(None).await?;
        let mut found: Vec<(u64, String)> = Vec::new();
        for run in runs {
            let first = {
                let mut rows = reading.reader().entries(Which::FirstOf(&run.id));
                match rows.next().await {
                    Some(row) => row?,
                    None => continue,
                }
            };
            // Whether a plan was used cannot be told from a damaged journal.
            let entry = Entry::decode(&first.bytes).map_err(|why| {
                words::message(
                    &self.shared.place,
                    &format!("read run {}", run.id.escape_debug()),
                    &why,
                    "Keep a copy of the file as it is, and run `starr journal verify`.",
                )
            })?;
            if entry.digests.plan.as_ref() == Some(plan) {
                found.push((entry.sequence, run.id));
            }
        }
        reading.done().await?;
        found.sort();
        Ok(found.into_iter().map(|(_, run)| run).collect())
    }
}
