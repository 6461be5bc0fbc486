//! A witness, asked as C2SP *tlog-witness* has it: it gets the checkpoint with a proof that the log only grew since the last one
//! it saw, and cosigns it, or does not.

use super::https::{Reply, check_url, one_line, post};
use super::{Kept, Offer, Refusal, Sink};
use crate::journal::note::{Algorithm, Note, Signature, Verdict, Verifier};
use crate::journal::{ledger, proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;

/// Asks this witness.
pub struct Witness {
    key: Verifier,
    url: String,
}

impl Witness {
    /// The witness with this key, at this prefix.
    pub fn new(key: Verifier, url: &str) -> Result<Self, String> {
        check_url(url)?;
        if key.algorithm() != Algorithm::Cosignature {
            return Err("a witness has a cosignature key (algorithm 4), this is another".to_owned());
        }
        Ok(Self {
            key,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    async fn ask(&self, offer: &Offer<'_>, note: &Note, old: u64) -> Result<Reply, Refusal> {
        let unusable = |error: crate::journal::Error| Refusal::Unusable(error.message);
        let size = offer.standing.frontier.size();
        let proof = if old == 0 || old == size {
            Vec::new()
        } else {
            let before = ledger::frontier_at(offer.ledger, old).await.map_err(unusable)?;
            let newer = offer.ledger.leaves(old, size).await.map_err(unusable)?;
            proof::consistency(&before, &newer)
        };
        let mut body = format!("old {old}\n");
        for hash in proof {
            body.push_str(&STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(&note.encode());
        post(&format!("{}/add-checkpoint", self.url), None, body)
            .await
            .map_err(Refusal::Unusable)
    }

    /// The size that this witness cosigned last, as far as the store knows.
    async fn last(&self, offer: &Offer<'_>) -> Result<u64, Refusal> {
        let rows = offer
            .ledger
            .checkpoints()
            .await
            .map_err(|error| Refusal::Unusable(error.message))?;
        let cosigned = rows.iter().rev().find_map(|row| {
            let note = Note::parse(&row.note).ok()?;
            matches!(note.verdict(&self.key), Verdict::Good(_)).then_some(row.size)
        });
        Ok(cosigned.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))
    }

    fn cosignature(&self, note: &Note, body: &str) -> Result<Signature, Refusal> {
        for line in body.lines() {
            let Ok(signature) = Signature::parse(line) else {
                continue;
            };
            let mut cosigned = note.clone();
            cosigned.add(signature.clone());
            if matches!(cosigned.verdict(&self.key), Verdict::Good(_)) && cosigned.signatures.last() == Some(&signature)
            {
                return Ok(signature);
            }
        }
        Err(Refusal::Unusable(
            "it answered without a cosignature of its key".to_owned(),
        ))
    }
}

impl Sink for Witness {
    fn place(&self) -> String {
        format!("witness {}", self.key.short())
    }

    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        Box::pin(async {
            let Some(note) = offer.note else {
                let why = "a witness takes signed checkpoints only; no `signing_key` is configured";
                return Err(Refusal::Unusable(why.to_owned()));
            };
            let size = offer.standing.frontier.size();
            let mut old = self.last(offer).await?.min(size);
            let mut reply = self.ask(offer, note, old).await?;
            if reply.status == 409 {
                let known: u64 = reply
                    .body
                    .trim_end()
                    .parse()
                    .map_err(|_| Refusal::Unusable("it answered 409 without a size".to_owned()))?;
                if known > size {
                    return Err(Refusal::Contradicted(format!(
                        "{known} entries were witnessed, and {size} are here"
                    )));
                }
                if known == old {
                    return Err(Refusal::Contradicted(format!(
                        "the root of {known} entries is another there"
                    )));
                }
                old = known;
                reply = self.ask(offer, note, old).await?;
            }
            match reply.status {
                200 => Ok(Kept {
                    cosignature: Some(self.cosignature(note, &reply.body)?),
                }),
                409 if old == size => Err(Refusal::Contradicted(format!(
                    "the root of {size} entries is another there"
                ))),
                409 => Err(Refusal::Unusable(format!(
                    "it does not take {size} entries after {old}: {}",
                    one_line(&reply.body)
                ))),
                422 => Err(Refusal::Contradicted(format!(
                    "the {old} entries that were witnessed are not the beginning of the {size} that are here"
                ))),
                403 => Err(Refusal::Unusable(
                    "it does not know the key that signed (403)".to_owned(),
                )),
                404 => Err(Refusal::Unusable("it does not know this log (404)".to_owned())),
                status => Err(Refusal::Unusable(format!("it answered {status}"))),
            }
        })
    }
}
