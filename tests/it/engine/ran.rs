//! What came of a run, as the tests look at it, and what holds for every run.

use super::fake::Ran;
use starr::journal::Event;

impl Ran {
    /// The outcome as a word, with the reason of `stopped`.
    pub fn outcome(&self) -> String {
        match &self.ended {
            Ok(ended) => ended.outcome.word().to_owned(),
            Err(error) => format!("journal: {error}"),
        }
    }

    pub fn in_place(&self) -> Vec<String> {
        self.ended.as_ref().unwrap().in_place.clone()
    }

    pub fn severity(&self) -> String {
        self.ended.as_ref().unwrap().severity.clone().unwrap_or_default()
    }

    /// Changes and tells that were sent.
    pub fn sent(&self) -> Vec<String> {
        self.backend
            .sent
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.what.clone())
            .collect()
    }

    /// With the second at which each was sent.
    pub fn sent_at(&self) -> Vec<(u64, String)> {
        let sent = self.backend.sent.lock().unwrap();
        sent.iter().map(|seen| (seen.at.as_secs(), seen.what.clone())).collect()
    }

    pub fn reads(&self, what: &str) -> usize {
        let reads = self.backend.reads.lock().unwrap();
        reads.iter().filter(|seen| seen.what == what).count()
    }

    pub fn asked(&self) -> Vec<String> {
        self.crowd
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.what.clone())
            .collect()
    }

    /// Every event of one kind, as its JSON form.
    pub fn of(&self, kind: &str) -> Vec<serde_json::Value> {
        self.events
            .iter()
            .filter(|(_, event)| event.kind() == kind)
            .map(|(_, event)| serde_json::to_value(event).unwrap())
            .collect()
    }

    /// One field of every event of one kind.
    pub fn texts(&self, kind: &str, field: &str) -> Vec<String> {
        self.of(kind)
            .iter()
            .map(|event| match &event[field] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect()
    }

    /// The causes that were chosen, in order.
    pub fn causes(&self) -> Vec<String> {
        self.of("cause")
            .iter()
            .filter(|event| event["chosen"] == true)
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How each action ended.
    pub fn actions(&self) -> Vec<String> {
        self.of("action_ended")
            .iter()
            .map(|event| {
                let outcome = event["outcome"].as_str().unwrap();
                let word = outcome.split(':').next().unwrap_or(outcome);
                format!("{} {word}", event["name"].as_str().unwrap())
            })
            .collect()
    }

    /// Every run, whatever it tests, keeps these.
    pub fn check_invariants(&self) {
        let mut open: Vec<String> = Vec::new();
        let mut intents = 0;
        for (_, event) in &self.events {
            match event {
                Event::Intent { id, .. } => {
                    assert!(!open.contains(id), "the intent {id} is there twice");
                    intents += 1;
                    open.push(id.clone());
                }
                Event::Result { id, .. } => {
                    assert!(open.contains(id), "the result {id} has no intent before it");
                    open.retain(|known| known != id);
                }
                _ => {}
            }
        }
        let sent = self.backend.sent.lock().unwrap().len();
        assert!(sent <= intents, "{sent} were sent, {intents} were intended");
        if let Ok(ended) = &self.ended {
            assert!(open.is_empty(), "without a result: {open:?}");
            assert_eq!(sent, intents, "every intent is sent once");
            let last = self.of("ended");
            assert_eq!(last.len(), 1, "a run ends once");
            assert_eq!(last[0]["outcome"], ended.outcome.word());
        }
    }
}
