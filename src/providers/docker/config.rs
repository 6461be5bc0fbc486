//! `docker:` in `starr.yaml`: the engines of an environment, by name.

use crate::providers::contract::Contract;
use crate::secrets::SecretSource;
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
    /// Logins at registries, by their host and port as names of images begin with it.
    #[serde(default)]
    pub registries: BTreeMap<String, Registry>,
}

/// A login at a registry. The engine is given it with each order to fetch from there, and keeps it nowhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    pub user: String,
    pub password: SecretSource,
}

/// The registry that an engine takes when the name of an image has none.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// The host, and the port if there is one, of the registry that an image comes from.
pub fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DEFAULT_REGISTRY,
    }
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
            let plain = |host: &str| host == registry(&format!("{host}/image"));
            if let Some(host) = engine.registries.keys().find(|host| host.contains('/') || !plain(host)) {
                return Err(format!(
                    "docker `{name}`: `registries`: `{host}` is not a host as in `registry.example.org` or `localhost:5000`"
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
    use super::{Config, registry};

    #[test]
    fn an_image_is_of_one_registry() {
        for (image, host) in [
            ("nginx:1.27", "docker.io"),
            ("shop/api:v2", "docker.io"),
            ("docker.io/shop/api:v2", "docker.io"),
            ("registry.example.org:5000/shop/api:v2", "registry.example.org:5000"),
            ("localhost/api:v2", "localhost"),
            ("127.0.0.1:5000/api:v2", "127.0.0.1:5000"),
        ] {
            assert_eq!(registry(image), host, "{image}");
        }
    }

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
        for host in ["https://r.example", "shop/api", "registry"] {
            let entry = format!("{{ socket: /s, registries: {{ '{host}': {{ user: u, password: {{ env: P }} }} }} }}");
            assert!(refusal(&entry).contains("is not a host"), "{host}");
        }
        assert!(refusal("{ socket: /s, registries: { r.example: { user: u, password: x } } }").contains("password"));
        assert!(
            refusal("{ socket: /s, contracts: { ready: { program: pg_isready, does: read } } }").contains("`ready`")
        );
        assert!(
            refusal("{ socket: /s, contracts: { ready: { program: /x, does: read, confine: {} } } }")
                .contains("confines")
        );
    }
}
