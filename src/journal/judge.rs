//! From a verifier's policy to what is believed: anchors are read, witnesses are asked.

use super::anchor::{self, Offer, Refusal, Sink as _, Witness};
use super::ledger::{self, Ledger, Standing};
use super::note::Note;
use super::policy::Policy;
use super::verify::{Anchor, Finding, Level, Trust, Verified};

/// Reads what the anchors say and puts it together with the keys. To be done before the log's snapshot is taken: an anchor
/// that is written meanwhile would know more than the snapshot.
pub async fn trust(policy: &Policy) -> Trust {
    let mut anchors = Vec::new();
    for place in &policy.anchors {
        anchors.push(Anchor {
            place: place.shown(),
            statements: anchor::read(place).await,
        });
    }
    Trust {
        log: policy.log.clone(),
        keys: policy.keys.clone(),
        witnesses: policy.witnesses.iter().map(|witness| witness.key.clone()).collect(),
        witnesses_needed: policy.witnesses_needed.unwrap_or(1),
        anchors,
        anchors_needed: policy.anchors_needed.unwrap_or(1),
    }
}

/// Offers each witness of the policy the newest signed checkpoint. One that knows another history of the log says so, and
/// that is a finding. An error: there is nothing to ask about, or a witness cannot be asked.
pub async fn ask_witnesses(ledger: &dyn Ledger, policy: &Policy, verified: &mut Verified) -> Result<(), String> {
    let rows = ledger.checkpoints().await.map_err(|error| error.message)?;
    let newest = rows
        .last()
        .and_then(|row| Some((u64::try_from(row.size).ok()?, Note::parse(&row.note).ok()?)));
    let Some((size, note)) = newest else {
        return Err("there is no checkpoint to ask the witnesses about".to_owned());
    };
    let frontier = ledger::frontier_at(ledger, size).await.map_err(|error| error.message)?;
    let origin = ledger.head().await.map_err(|error| error.message)?.origin;
    let standing = Standing { origin, frontier };
    for witness in &policy.witnesses {
        let Some(url) = &witness.url else { continue };
        let sink = Witness::new(witness.key.clone(), url)?;
        let offer = Offer {
            ledger,
            standing: &standing,
            note: Some(&note),
        };
        match sink.keep(&offer).await {
            Ok(_) => {}
            Err(Refusal::Contradicted(why)) => {
                verified.level = Level::Broken;
                verified.findings.push(Finding {
                    entry: verified.entries.checked_sub(1),
                    what: format!("is the last that is there; the {} says otherwise: {why}", sink.place()),
                });
            }
            Err(Refusal::Unusable(why)) => return Err(format!("the {} cannot be asked: {why}", sink.place())),
        }
    }
    Ok(())
}
