//! What the controllers of a cluster do between two requests.

use super::World;
use serde_json::{Value as Json, json};

impl World {
    /// What the controllers do between two requests: a replica set for each template, taken up again under a new number when the
    /// template comes back, and the status. An image that ends in `-missing` is never had.
    pub(super) fn roll(&mut self) {
        let paths: Vec<String> = self
            .objects
            .keys()
            .filter(|path| path.contains("/deployments/"))
            .cloned()
            .collect();
        for path in paths {
            let mut deployment = self.objects[&path].clone();
            if deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"] {
                continue;
            }
            let name = deployment["metadata"]["name"].as_str().unwrap().to_owned();
            let folder = path.rsplit_once("/deployments/").unwrap().0.to_owned();
            let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let paused = deployment["spec"]["paused"] == true;
            let number: i64 = deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let same = |set: &Json| {
                let mut template = set["spec"]["template"].clone();
                if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
                    labels.remove("pod-template-hash");
                }
                template == deployment["spec"]["template"]
            };
            let prefix = format!("{folder}/replicasets/{name}-");
            let known = self
                .objects
                .iter()
                .find(|(path, set)| path.starts_with(&prefix) && same(set))
                .map(|(path, set)| {
                    (
                        path.clone(),
                        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"].clone(),
                    )
                });
            let current = match known {
                _ if paused => number,
                Some((_, is)) if is.as_str().and_then(|is| is.parse().ok()) == Some(number) => number,
                Some((set, _)) => {
                    let version = self.next_version();
                    let object = self.objects.get_mut(&set).unwrap();
                    object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] =
                        (number + 1).to_string().into();
                    object["metadata"]["resourceVersion"] = version.into();
                    number + 1
                }
                None => {
                    let hash = format!("h{}", number + 1);
                    let mut template = deployment["spec"]["template"].clone();
                    template["metadata"]["labels"]["pod-template-hash"] = hash.as_str().into();
                    let set = json!({
                        "kind": "ReplicaSet", "apiVersion": "apps/v1",
                        "metadata": {
                            "name": format!("{name}-{hash}"),
                            "labels": template["metadata"]["labels"],
                            "annotations": {"deployment.kubernetes.io/revision": (number + 1).to_string()},
                            "ownerReferences": [{"kind": "Deployment", "name": name, "uid": deployment["metadata"]["uid"], "controller": true}],
                        },
                        "spec": {"replicas": deployment["spec"]["replicas"], "template": template},
                    });
                    self.put(&format!("{prefix}{hash}"), set);
                    number + 1
                }
            };
            let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
            let missing = image.ends_with("-missing");
            deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = current.to_string().into();
            let progressing = if paused {
                json!({"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused"})
            } else if missing {
                json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                       "message": format!("ReplicaSet \"{name}-h{current}\" has timed out progressing.")})
            } else {
                json!({"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"})
            };
            deployment["status"] = json!({
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": if missing { wanted + 1 } else { wanted },
                "updatedReplicas": if missing { 1 } else { wanted },
                "readyReplicas": wanted,
                "availableReplicas": wanted,
                "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}, progressing],
            });
            let version = self.next_version();
            deployment["metadata"]["resourceVersion"] = version.into();
            self.objects.insert(path.clone(), deployment);
            self.pods(
                &folder.replace("/apis/apps/v1/", "/api/v1/"),
                &name,
                current,
                wanted,
                &image,
            );
        }
    }

    /// Gives the first container of a deployment another image, as a release does.
    pub fn release(&mut self, path: &str, image: &str) {
        self.roll();
        let deployment = self.objects.get_mut(path).expect("it is there");
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        let generation = deployment["metadata"]["generation"].as_i64().unwrap_or(1);
        deployment["metadata"]["generation"] = (generation + 1).into();
        self.roll();
    }

    /// The pods of a deployment after a roll.
    fn pods(&mut self, folder: &str, name: &str, revision: i64, wanted: i64, image: &str) {
        let missing = image.ends_with("-missing");
        let prefix = format!("{folder}/pods/{name}-");
        if missing {
            // The old ones go on serving; one new one waits.
            self.pod(
                &format!("{prefix}h{revision}-new"),
                name,
                image,
                Some("ImagePullBackOff"),
            );
            return;
        }
        self.objects.retain(|path, _| !path.starts_with(&prefix));
        for number in 0..wanted {
            self.pod(&format!("{prefix}h{revision}-{number}"), name, image, None);
        }
    }

    pub fn pod(&mut self, path: &str, app: &str, image: &str, waiting: Option<&str>) {
        let state = match waiting {
            Some(reason) => {
                json!({"waiting": {"reason": reason, "message": format!("Back-off pulling image \"{image}\"")}})
            }
            None => json!({"running": {"startedAt": "2026-11-22T03:00:00Z"}}),
        };
        let ready = if waiting.is_some() { "False" } else { "True" };
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"labels": {"app": app}},
            "spec": {"nodeName": "node-a", "containers": [{"name": "main", "image": image}]},
            "status": {
                "phase": if waiting.is_some() { "Pending" } else { "Running" },
                "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}],
                "containerStatuses": [{"name": "main", "image": image, "ready": waiting.is_none(), "restartCount": 0, "state": state}],
            },
        });
        self.put(path, pod);
    }
}
