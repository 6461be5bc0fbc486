//! `exec:` in `starr.yaml`: the programs of this machine that a runbook may name.

use crate::providers::contract::Contract;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `exec:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub programs: BTreeMap<String, Contract>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, contract) in &self.programs {
            contract
                .validate()
                .map_err(|problem| format!("exec `{name}`: {problem}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_entry_that_is_wrong_is_named() {
        let config: Config = serde_yaml::from_str("programs: { report: { program: report.sh, does: read } }").unwrap();
        assert_eq!(
            config.validate().unwrap_err(),
            "exec `report`: `program`: report.sh is not an absolute path"
        );
    }
}
