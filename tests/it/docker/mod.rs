//! The provider `docker` against a real engine: podman's service, which speaks the same interface on its socket.

mod containers;
mod faults;
mod incident;
mod ports;
mod projects;
mod registry;
mod stack;

use crate::support::daemon::{file, folder, program};
use crate::support::gated::Gated;
use starr::providers::docker::Docker;
use starr::value::Value;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// An engine with storage of its own and an image that holds busybox.
pub struct Host {
    folder: PathBuf,
    /// Closing it ends the engine and its containers.
    _life: std::process::ChildStdin,
    shell: std::process::Child,
}

impl Drop for Host {
    fn drop(&mut self) {
        // The shell goes when its input is closed, which happens after this.
        let _ = self.shell.try_wait();
    }
}

impl Host {
    /// The engine every test of this process shares.
    pub fn shared() -> &'static Host {
        static SHARED: OnceLock<Host> = OnceLock::new();
        SHARED.get_or_init(Host::start)
    }

    fn start() -> Self {
        let folder = folder("podman");
        // The runtime, because not every one likes every way of mounting control groups; the limits, because a container may not
        // raise those of this process.
        file(
            &folder,
            "containers.conf",
            "[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nexit_command_delay = 0\n\
             [containers]\nlog_driver = \"k8s-file\"\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n",
        );
        crate::support::copy_program(&program("busybox"), &folder.join("busybox"));
        file(
            &folder,
            "Containerfile",
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n",
        );
        let built = podman(
            &folder,
            &["build", "--quiet", "--tag", "starr-test", &folder.display().to_string()],
        );
        assert!(built.0, "{}", built.1);
        // Registries of this machine speak without encryption.
        file(
            &folder,
            "registries.conf",
            "[[registry]]\nlocation = \"127.0.0.1\"\ninsecure = true\n",
        );
        let socket = folder.join("socket");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "trap '' INT TERM HUP; folder=$1; shift; \"$@\" system service --time=0 unix://\"$folder\"/socket >\"$folder\"/log 2>&1 & engine=$!; cat >/dev/null; \"$@\" rm --force --all --time 0 >/dev/null 2>&1; kill -KILL $engine; wait $engine 2>/dev/null; rm -rf \"$folder\"", "sh"])
            .arg(&folder)
            .args(words(&folder))
            .env("CONTAINERS_CONF", folder.join("containers.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", folder.join("registries.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let life = shell.stdin.take().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "the engine does not start");
            std::thread::yield_now();
        }
        Self {
            folder,
            _life: life,
            shell,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// A container that runs a script of busybox.
    pub fn container(&self, name: &str, project: &str, script: &str) {
        self.container_with(name, project, name, &[], script);
    }

    /// The same with a service of another name and more options of the engine's own program.
    pub fn container_with(&self, name: &str, project: &str, service: &str, more: &[&str], script: &str) {
        let labels = [
            format!("com.docker.compose.project={project}"),
            format!("com.docker.compose.service={service}"),
        ];
        let mut words = vec!["run", "--detach", "--name", name, "--net", "none"];
        words.extend(["--label", &labels[0], "--label", &labels[1]]);
        words.extend(more);
        words.extend(["starr-test", "/bin/sh", "-c", script]);
        self.podman(&words);
    }

    /// What the engine's own program does.
    pub fn podman(&self, more: &[&str]) -> String {
        let (good, said) = podman(&self.folder, more);
        assert!(good, "{more:?}: {said}");
        said
    }

    /// The engine as `here`, behind a gate.
    pub fn world(&self) -> Gated {
        at(&format!(
            "{{ socket: {}, programs: [/bin/echo, /bin/false, /bin/sleep], contracts: {{ \
             said: {{ program: /bin/echo, does: read, output: text, arguments: [{{ name: a, type: Text }}], exit: {{ ok: [0, 1] }} }}, \
             touch: {{ program: /bin/touch, does: change, folder: /tmp, arguments: [{{ name: a, type: Text }}] }} }} }}",
            self.socket().display()
        ))
    }
}

/// An engine as `here`.
pub fn at(entry: &str) -> Gated {
    let config = serde_yaml::from_str(&format!("engines: {{ here: {entry} }}")).unwrap();
    Gated::new(Arc::new(Docker::new(config).unwrap()), vec![("engine", here())])
}

fn words(folder: &std::path::Path) -> Vec<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    let podman = program("podman").display().to_string();
    [
        &podman,
        "--root",
        &at("root"),
        "--runroot",
        &at("run"),
        "--tmpdir",
        &at("tmp"),
        "--storage-driver",
        "vfs",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn podman(folder: &std::path::Path, more: &[&str]) -> (bool, String) {
    let words = words(folder);
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(more)
        .env("CONTAINERS_CONF", folder.join("containers.conf"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The engine as a resource.
pub fn here() -> Value {
    Value::Resource {
        kind: "Engine".into(),
        name: "here".into(),
    }
}

/// A container by its name.
pub async fn get(world: &Gated, name: &str) -> Value {
    world.read("containers.get", &[("name", Value::text(name))]).await
}
