//! Images on a node and how they get there (`pkg/kubelet/images/image_manager.go`, `puller.go`).

use super::settings::KubeletSettings;
use crate::model::node::NodeImage;
use crate::model::{Name, PullPolicy};
use crate::rng::{Seed, Stream};
use crate::time::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// `status.images` holds at most this many (`nodeStatusMaxImages`).
const REPORTED_MAX: usize = 50;

/// The images of one node and its line of pulls.
#[derive(Clone, Debug)]
pub struct ImageStore {
    /// When each image is (or will be) there, and its size, by its name as pods write it.
    present: FxHashMap<Name, (SimTime, i64)>,
    /// The end of the last pull in line.
    busy_until: SimTime,
    stream: Stream,
    /// Changed since it was last reported.
    pub changed: bool,
}

/// What a container's image needs before the container can start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageStep {
    /// Nothing: it is there.
    Present,
    /// It is not there and must not be pulled.
    NeverPull,
    /// A pull.
    Pull(Pull),
}

/// A pull in line or under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pull {
    /// When it was asked for.
    pub asked: SimTime,
    /// When its turn came.
    pub began: SimTime,
    /// When it ends.
    pub until: SimTime,
    /// Bytes of the image.
    pub size: i64,
    /// Whether the registry has the image.
    pub succeeds: bool,
}

impl ImageStore {
    /// The store of `node`, holding what its machine came with.
    pub fn new(node: &Name, cached: &[NodeImage], seed: Seed) -> Self {
        let names = cached.iter().flat_map(|image| image.names.iter().map(|name| (short(name), image.size)));
        ImageStore {
            present: names.map(|(name, size)| (name, (SimTime(i64::MIN), size))).collect(),
            busy_until: SimTime(i64::MIN),
            stream: seed.stream("image-pull", node),
            changed: false,
        }
    }

    /// What `image` needs at `now`. A pull is put in line.
    pub fn prepare(
        &mut self,
        image: &Name,
        policy: PullPolicy,
        known_size: Option<i64>,
        exists: bool,
        now: SimTime,
        settings: &KubeletSettings,
    ) -> ImageStep {
        let name = short(image);
        let there = self.present.get(&name).copied();
        match policy {
            PullPolicy::IfNotPresent | PullPolicy::Never if there.is_some_and(|(at, _)| at <= now) => {
                return ImageStep::Present;
            }
            PullPolicy::Never => return ImageStep::NeverPull,
            PullPolicy::IfNotPresent | PullPolicy::Always => {}
        }
        let size = known_size.unwrap_or(settings.default_image_size);
        let began = if settings.serial_pulls { now.max(self.busy_until) } else { now };
        let resolved = began + settings.pull_latency.sample(&mut self.stream);
        // What is there, or on its way, is only resolved, not fetched again.
        let until = match there {
            Some((at, _)) => resolved.max(at),
            None if exists => resolved + transfer(size, settings.pull_bandwidth),
            None => resolved,
        };
        if settings.serial_pulls {
            self.busy_until = until;
        }
        if exists && there.is_none() {
            self.present.insert(name, (until, size));
            self.changed = true;
        }
        ImageStep::Pull(Pull { asked: now, began, until, size, succeeds: exists })
    }

    /// Whether a pull goes on at `now`.
    pub fn pulling(&self, now: SimTime) -> bool {
        self.present.values().any(|(at, _)| *at > now)
    }

    /// What the node reports at `now`: the largest first (`pkg/kubelet/kubelet_node_status.go`).
    pub fn report(&self, now: SimTime) -> Vec<NodeImage> {
        let there = self.present.iter().filter(|(_, (at, _))| *at <= now);
        let mut images: Vec<NodeImage> =
            there.map(|(name, (_, size))| NodeImage { names: vec![full(name)], size: *size }).collect();
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.names.cmp(&b.names)));
        images.truncate(REPORTED_MAX);
        images
    }
}

fn transfer(size: i64, bandwidth: i64) -> SimDuration {
    if bandwidth <= 0 {
        return SimDuration::ZERO;
    }
    let nanoseconds = i128::from(size.max(0)) * 1_000_000_000 / i128::from(bandwidth);
    SimDuration(i64::try_from(nanoseconds).unwrap_or(i64::MAX))
}

/// An image's name without the parts that a person leaves out: `docker.io/library/nginx:latest` is `nginx`.
fn short(image: &Name) -> Name {
    let text = image.as_str();
    let text = text.strip_prefix("docker.io/").map_or(text, |rest| rest.strip_prefix("library/").unwrap_or(rest));
    let text = text.strip_suffix(":latest").unwrap_or(text);
    if text.len() == image.len() { image.clone() } else { Name::from(text) }
}

/// An image's name in full: `nginx` is `docker.io/library/nginx:latest`.
pub fn full(image: &str) -> Name {
    let (first, rest) = image.split_once('/').unwrap_or(("", image));
    let registry = first.contains('.') || first.contains(':') || first == "localhost";
    let path = if registry {
        image.to_string()
    } else if first.is_empty() {
        format!("docker.io/library/{rest}")
    } else {
        format!("docker.io/{image}")
    };
    let last = path.rsplit('/').next().unwrap_or(&path);
    if last.contains(':') || last.contains('@') { Name::from(path) } else { Name::from(format!("{path}:latest")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Delay;

    fn settings() -> KubeletSettings {
        KubeletSettings {
            pull_bandwidth: 100,
            pull_latency: Delay::Constant(SimDuration::from_secs(1)),
            ..KubeletSettings::default()
        }
    }

    #[test]
    fn policies_and_the_line() {
        use PullPolicy::{Always, IfNotPresent, Never};
        let cached = [NodeImage { names: vec![Name::from("docker.io/library/nginx:latest")], size: 5 }];
        let mut images = ImageStore::new(&crate::name!("n"), &cached, Seed(1));
        // (second, image, policy, exists, end of the pull in seconds: none if there is no pull)
        let table = [
            (0, "nginx", IfNotPresent, true, None),
            (0, "nginx", Never, true, None),
            // Resolved, not fetched: the latency alone.
            (0, "nginx:latest", Always, true, Some(1)),
            // 1 s in line, 1 s latency, 400 bytes at 100 a second.
            (0, "app:1", IfNotPresent, true, Some(6)),
            // In line behind it; then it is there.
            (0, "app:1", IfNotPresent, true, Some(7)),
            (1, "gone:1", IfNotPresent, false, Some(8)),
            (6, "app:1", IfNotPresent, true, None),
        ];
        for (second, image, policy, exists, end) in table {
            let step =
                images.prepare(&Name::from(image), policy, Some(400), exists, SimTime::from_secs(second), &settings());
            match end {
                None => assert_eq!(step, ImageStep::Present, "{image}"),
                Some(end) => {
                    let ImageStep::Pull(pull) = step else { panic!("{image}: {step:?}") };
                    assert_eq!((pull.until, pull.succeeds), (SimTime::from_secs(end), exists), "{image}");
                }
            }
        }
        let never = images.prepare(&crate::name!("other"), Never, None, true, SimTime::ZERO, &settings());
        assert_eq!(never, ImageStep::NeverPull);
        let names: Vec<Name> = images.report(SimTime::from_secs(6)).into_iter().flat_map(|i| i.names).collect();
        assert_eq!(names, ["docker.io/library/app:1", "docker.io/library/nginx:latest"]);
    }

    #[test]
    fn names_in_full() {
        let table = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("team/app:2", "docker.io/team/app:2"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
        ];
        for (image, expected) in table {
            assert_eq!(full(image), expected);
        }
    }
}
