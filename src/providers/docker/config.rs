//! `docker:` in `starr.yaml`: the engines of an environment, by name.

use crate::providers::contract::Contract;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `docker:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub engines: BTreeMap<String, Engine>,
}

/// One engine. `DOCKER_HOST` and the contexts of the command line are not looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The engine's socket on this machine.
    pub socket: PathBuf,
    /// Programs that may be run in containers, as absolute paths. Default none.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Programs in containers under a contract, by the name of the resource.
    #[serde(default)]
    pub contracts: BTreeMap<String, Contract>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, engine) in &self.engines {
            if !engine.socket.is_absolute() {
                return Err(format!("docker `{name}`: `socket` is not an absolute path"));
            }
            if let Some(program) = engine.programs.iter().find(|program| !program.starts_with('/')) {
                return Err(format!(
                    "docker `{name}`: `programs`: `{program}` is not an absolute path"
                ));
            }
            for (program, contract) in &engine.contracts {
                let problem = match contract.validate() {
                    Ok(()) if contract.confine.is_some() => {
                        "`confine` is for this machine; here the container confines".to_owned()
                    }
                    Ok(()) => continue,
                    Err(problem) => problem,
                };
                return Err(format!("docker `{name}`: `contracts`: `{program}`: {problem}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| {
            serde_yaml::from_str::<Config>(&format!("engines: {{ here: {text} }}"))
                .map_err(|problem| problem.to_string())
                .and_then(|config| config.validate())
                .unwrap_err()
        };
        assert!(refusal("{ socket: run/docker.sock }").contains("not an absolute path"));
        assert!(refusal("{ socket: /s, programs: [sh] }").contains("`sh`"));
        assert!(refusal("{ host: tcp://x }").contains("host"));
        assert!(refusal("{}").contains("socket"));
        assert!(
            refusal("{ socket: /s, contracts: { ready: { program: pg_isready, does: read } } }").contains("`ready`")
        );
        assert!(
            refusal("{ socket: /s, contracts: { ready: { program: /x, does: read, confine: {} } } }")
                .contains("confines")
        );
    }
}
