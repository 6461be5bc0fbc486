//! The way to a cluster: from its configuration to a client, made at the first call.

use super::config::{Cluster, Role, protected};
use super::credentials::remember_shown;
use super::failure::Failure;
use crate::providers::stamp::Stamps;
use crate::value::Reason;
use kube::config::{AuthInfo, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// When a call must have its answer.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// Kept free at the end of every call, so that the provider can say what happened before the gate cuts it off.
const MARGIN: Duration = Duration::from_millis(150);

impl Deadline {
    /// A little before `within` from now is over.
    pub fn new(within: Duration) -> Self {
        Self(Instant::now() + within.saturating_sub(MARGIN.min(within / 10)))
    }

    /// At this moment.
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A cluster and its clients, one to read and one to change.
pub struct Link {
    pub cluster: Cluster,
    read: Mutex<Option<Made>>,
    change: Mutex<Option<Made>>,
}

/// A client, with the files that it was made of.
struct Made {
    client: kube::Client,
    files: Stamps,
}

impl Link {
    /// Nothing is read or connected yet.
    pub fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            read: Mutex::default(),
            change: Mutex::default(),
        }
    }

    /// The client of this role; the files of the configuration are read when it is wanted for the first time, and again when they have changed: a
    /// run may last longer than its certificate or token.
    ///
    /// # Errors
    /// Definite, with what is wrong.
    pub async fn client(&self, role: Role) -> Result<kube::Client, Failure> {
        let mut kept = match role {
            Role::Read => self.read.lock().await,
            Role::Change => self.change.lock().await,
        };
        if let Some(made) = kept.as_ref().filter(|made| made.files.hold()) {
            return Ok(made.client.clone());
        }
        let mut files = Stamps::default();
        let client = client(&self.cluster, role, &mut files).await?;
        *kept = Some(Made {
            client: client.clone(),
            files,
        });
        Ok(client)
    }
}

fn unusable(detail: impl Into<String>) -> Failure {
    Failure::definite(Reason::Unavailable, detail)
}

/// A client made anew. Each file is noted before it is read.
async fn client(cluster: &Cluster, role: Role, files: &mut Stamps) -> Result<kube::Client, Failure> {
    let mut config = if let Some(path) = &cluster.kubeconfig {
        files.add(path);
        let file = Kubeconfig::read_from(path)
            .map_err(|_| unusable(format!("the kubeconfig {} cannot be read", path.display())))?;
        from_file(file, cluster, files).await?
    } else if let Some(server) = &cluster.server {
        direct(server, cluster, files)?
    } else {
        kube::Config::incluster()
            .map_err(|_| unusable("this is no pod, or its service account is not there (`in_cluster`)"))?
    };
    remember_shown(&config.auth_info);
    config.connect_timeout = Some(cluster.connect_within());
    // A change may be sent once; and reads keep their own deadline, which includes every attempt.
    config.default_retry = false;
    if let Some(acting) = cluster.acting_as(role) {
        config.auth_info.impersonate = Some(acting.user.clone());
        config.auth_info.impersonate_groups = Some(acting.groups.clone());
    }
    // The credentials may run a program: not on the thread of the run.
    let made = tokio::task::spawn_blocking({
        let handle = tokio::runtime::Handle::current();
        move || {
            let _inside = handle.enter();
            kube::Client::try_from(config)
        }
    })
    .await;
    match made {
        Ok(Ok(client)) => Ok(client),
        // The error may hold what the program said, and that is a credential.
        Ok(Err(kube::Error::Auth(_))) => Err(Failure::definite(
            Reason::Denied,
            "the credentials of this cluster cannot be had",
        )),
        Ok(Err(_)) => Err(unusable(
            "the certificates or the address of this cluster cannot be used",
        )),
        Err(_) => Err(unusable("the client of this cluster could not be made")),
    }
}

/// A named context of a kubeconfig. What would run a program is refused unless it is allowed by name.
async fn from_file(mut file: Kubeconfig, cluster: &Cluster, files: &mut Stamps) -> Result<kube::Config, Failure> {
    let wanted = cluster.context.clone().unwrap_or_default();
    let context = file
        .contexts
        .iter()
        .find(|context| context.name == wanted)
        .and_then(|context| context.context.clone())
        .ok_or_else(|| unusable(format!("the kubeconfig has no context `{wanted}`")))?;
    let user = context.user.clone().unwrap_or_default();
    for named in &mut file.auth_infos {
        if named.name != user {
            // Nothing of the other users is needed, nor may it be run.
            named.auth_info = None;
        } else if let Some(info) = &mut named.auth_info {
            allowed(info, cluster)?;
            for path in [&info.client_certificate, &info.client_key].into_iter().flatten() {
                files.add(Path::new(path));
            }
        }
    }
    let named = file.clusters.iter().find(|named| named.name == context.cluster);
    let authority = named.and_then(|named| named.cluster.as_ref()?.certificate_authority.as_deref());
    if let Some(path) = authority {
        files.add(Path::new(path));
    }
    let options = KubeConfigOptions {
        context: Some(wanted.clone()),
        cluster: None,
        user: None,
    };
    let config = kube::Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|_| unusable(format!("the context `{wanted}` of the kubeconfig cannot be used")))?;
    if config.accept_invalid_certs {
        return Err(Failure::definite(
            Reason::Denied,
            format!("the context `{wanted}` would not verify the server (`insecure-skip-tls-verify`)"),
        ));
    }
    protected(&config.cluster_url.to_string()).map_err(unusable)?;
    Ok(config)
}

/// Whether these credentials may be used: a file of credentials could run any program.
fn allowed(info: &mut AuthInfo, cluster: &Cluster) -> Result<(), Failure> {
    if let Some(exec) = &mut info.exec {
        let program = exec.command.clone().unwrap_or_default();
        if !cluster.allow_programs.contains(&program) {
            return Err(Failure::definite(
                Reason::Denied,
                format!(
                    "the kubeconfig would run the program `{program}` for its credentials; \
                     it was not run, and `allow_programs` does not name it"
                ),
            ));
        }
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    if let Some(provider) = &info.auth_provider {
        return Err(Failure::definite(
            Reason::Denied,
            format!(
                "the kubeconfig takes its credentials from the provider `{}`, which may run a program",
                provider.name
            ),
        ));
    }
    Ok(())
}

fn direct(server: &str, cluster: &Cluster, files: &mut Stamps) -> Result<kube::Config, Failure> {
    let mut config = kube::Config::new(protected(server).map_err(unusable)?);
    if let Some(path) = &cluster.certificate_authority {
        files.add(path);
        let pem = std::fs::read(path).map_err(|_| unusable(format!("{} cannot be read", path.display())))?;
        let certificates: Vec<Vec<u8>> = certificates(&pem);
        if certificates.is_empty() {
            return Err(unusable(format!("{} holds no certificate", path.display())));
        }
        config.root_cert = Some(certificates);
    }
    if let Some(source) = &cluster.token {
        if let Some(path) = source.path() {
            files.add(path);
        }
        let token = source
            .read()
            .map_err(|problem| unusable(format!("the token of this cluster: {problem}")))?;
        config.auth_info.token = Some(token.expose().to_owned().into());
    }
    Ok(config)
}

/// The certificates of a PEM file.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem)
        .filter_map(Result::ok)
        .map(|certificate| certificate.to_vec())
        .collect()
}
