//! Images on a node and how they get there (`pkg/kubelet/images/image_manager.go`, `puller.go`).

use super::registry::{PullFailure, Registry};
use super::settings::KubeletSettings;
use crate::engine::TokenBucket;
use crate::model::node::NodeImage;
use crate::model::{Name, PullPolicy};
use crate::rng::{Seed, Stream};
use crate::time::{SimDuration, SimTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `status.images` holds at most this many (`nodeStatusMaxImages`).
const REPORTED_MAX: usize = 50;

/// The layers of an image: names and bytes. Images with a layer of one name share it.
pub type Layers = Arc<[(Name, i64)]>;

/// `registryPullQPS` and `registryBurst` (`pkg/kubelet/apis/config/v1beta1/defaults.go`).
const PULL_MILLI_QPS: i64 = 5000;
const PULL_BURST: i64 = 10;

/// An image that a container needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub image: &'a Name,
    /// When to pull it.
    pub policy: PullPolicy,
    /// Its bytes, where known.
    pub size: Option<i64>,
    /// Its layers, where known.
    pub layers: Option<&'a Layers>,
    /// Whether the registry has it.
    pub exists: bool,
}

/// What surrounds a pull.
pub struct Around<'a> {
    /// When it is asked for.
    pub now: SimTime,
    /// How fast kubelets are.
    pub settings: &'a KubeletSettings,
    /// The registry.
    pub registry: &'a mut Registry,
    /// The node.
    pub node: &'a Name,
    /// How many pulls go on at a time; as many as are asked for if `None`.
    pub parallel: Option<u32>,
    /// Bytes that are free on the disk.
    pub room: i64,
    /// The speed of the disk, in thousandths.
    pub disk_speed: i64,
}

/// The images of one node and its line of pulls.
#[derive(Clone, Debug)]
pub struct ImageStore {
    /// The images by their names as pods write them.
    present: BTreeMap<Name, Kept>,
    /// More bytes than when that was last asked.
    grown: bool,
    /// When each of the pulls that go on at a time is through.
    slots: Vec<SimTime>,
    /// `registryPullQPS` and `registryBurst`.
    tokens: TokenBucket,
    stream: Stream,
    /// Changed since it was last reported.
    pub changed: bool,
}

/// An image on the node or on its way.
#[derive(Clone, Debug)]
struct Kept {
    /// When it is there.
    at: SimTime,
    /// Its bytes.
    size: i64,
    /// Its layers and their bytes.
    layers: Layers,
    /// When a container last used it.
    used: SimTime,
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
    /// Why it fails, if it does.
    pub failure: Option<PullFailure>,
}

impl ImageStore {
    /// The store of `node`, holding what its machine came with.
    pub fn new(node: &Name, cached: &[NodeImage], seed: Seed) -> Self {
        let names = cached.iter().flat_map(|image| image.names.iter().map(|name| (short(name), image.size)));
        ImageStore {
            present: names.map(|(name, size)| (name.clone(), cached_image(name, size))).collect(),
            grown: false,
            slots: Vec::new(),
            tokens: TokenBucket::new(PULL_MILLI_QPS, PULL_BURST),
            stream: seed.stream("image-pull", node),
            changed: false,
        }
    }

    /// What `wanted` needs. A pull is put in line.
    pub fn prepare(&mut self, wanted: &Wanted<'_>, around: &mut Around<'_>) -> ImageStep {
        let (name, now, settings) = (short(wanted.image), around.now, around.settings);
        let there = self.present.get_mut(&name).map(|kept| {
            kept.used = kept.used.max(now);
            kept.at
        });
        match wanted.policy {
            PullPolicy::IfNotPresent | PullPolicy::Never if there.is_some_and(|at| at <= now) => {
                return ImageStep::Present;
            }
            PullPolicy::Never => return ImageStep::NeverPull,
            PullPolicy::IfNotPresent | PullPolicy::Always => {}
        }
        let layers = match wanted.layers {
            Some(layers) => layers.clone(),
            None => [(name.clone(), wanted.size.unwrap_or(settings.default_image_size))].into(),
        };
        let size: i64 = layers.iter().map(|(_, size)| size).sum();
        let (slot, began) = self.turn(around.parallel, now);
        let latency = settings.pull_latency.sample(&mut self.stream);
        let missing: i64 = layers.iter().filter(|(layer, _)| !self.has_layer(layer)).map(|(_, size)| size).sum();
        let throttled = settings.pull_limit && around.parallel != Some(1) && !self.tokens.try_take(began);
        let refusal = match throttled {
            true => Some((PullFailure::Throttled, SimDuration(-latency.0))),
            false => around.registry.refuses(around.node, settings, began),
        };
        let (failure, until) = match (refusal, there) {
            (Some((failure, longer)), _) => (Some(failure), began + latency + longer),
            (None, _) if !wanted.exists => (Some(PullFailure::NotFound), began + latency),
            // What is there, or on its way, is only resolved, not fetched again.
            (None, Some(at)) => (None, (began + latency).max(at)),
            (None, None) if missing > around.room => (Some(PullFailure::NoSpace), began + latency),
            (None, None) => (None, around.registry.transfer(missing, around.disk_speed, settings, began + latency)),
        };
        if let Some(slot) = slot {
            self.slots[slot] = until;
        }
        if failure.is_none() && there.is_none() {
            self.present.insert(name, Kept { at: until, size, layers, used: until });
            (self.changed, self.grown) = (true, true);
        }
        ImageStep::Pull(Pull { asked: now, began, until, size, failure })
    }

    /// The first place in line, where only so many are pulled at a time, and when it is free.
    fn turn(&mut self, parallel: Option<u32>, now: SimTime) -> (Option<usize>, SimTime) {
        let Some(most) = parallel else { return (None, now) };
        self.slots.resize(most.max(1) as usize, SimTime(i64::MIN));
        let slot = (0..self.slots.len()).min_by_key(|slot| self.slots[*slot]);
        (slot, slot.map_or(now, |slot| now.max(self.slots[slot])))
    }

    fn has_layer(&self, layer: &Name) -> bool {
        self.present.values().any(|kept| kept.layers.iter().any(|(have, _)| have == layer))
    }

    /// Bytes of the layers of some images, each layer once.
    fn bytes_of(&self, which: impl Fn(&Kept) -> bool) -> i64 {
        let layers = self.present.values().filter(|kept| which(kept)).flat_map(|kept| kept.layers.iter());
        let once: BTreeMap<&Name, i64> = layers.map(|(name, size)| (name, *size)).collect();
        once.values().sum()
    }

    /// Bytes of the images that are there at `now`.
    pub fn bytes(&self, now: SimTime) -> i64 {
        self.bytes_of(|kept| kept.at <= now)
    }

    /// Bytes of the images that are on their way at `now`.
    pub fn coming(&self, now: SimTime) -> i64 {
        match self.present.values().any(|kept| kept.at > now) {
            true => self.bytes_of(|_| true) - self.bytes(now),
            false => 0,
        }
    }

    /// When the next image is there that is on its way.
    pub fn next_arrival(&self, now: SimTime) -> Option<SimTime> {
        self.present.values().map(|kept| kept.at).filter(|at| *at > now).min()
    }

    /// Whether images were added since this was last asked.
    pub fn take_grown(&mut self) -> bool {
        std::mem::take(&mut self.grown)
    }

    /// Removes images that are not in `used` and are at least so old, the longest unused first, until `wanted` bytes
    /// are free (`pkg/kubelet/images/image_gc_manager.go`, `freeSpace`). Says how many are.
    pub fn remove_unused(&mut self, used: &[Name], wanted: i64, age: SimDuration, now: SimTime) -> i64 {
        let used: BTreeSet<Name> = used.iter().map(short).collect();
        let old = |kept: &Kept| kept.at <= now && (kept.at.0 == i64::MIN || now - kept.at >= age);
        let unused = self.present.iter().filter(|(name, kept)| !used.contains(*name) && old(kept));
        let mut unused: Vec<(SimTime, SimTime, Name)> =
            unused.map(|(name, kept)| (kept.used, kept.at, name.clone())).collect();
        unused.sort();
        let mut freed = 0;
        for (.., name) in unused {
            if freed >= wanted {
                break;
            }
            // Layers that other images have, too, stay.
            let before = self.bytes_of(|_| true);
            self.present.remove(&name);
            freed += before - self.bytes_of(|_| true);
            self.changed = true;
        }
        freed
    }

    /// Whether a pull goes on at `now`.
    pub fn pulling(&self, now: SimTime) -> bool {
        self.present.values().any(|kept| kept.at > now)
    }

    /// What the node reports at `now`: the largest first (`pkg/kubelet/kubelet_node_status.go`).
    pub fn report(&self, now: SimTime) -> Vec<NodeImage> {
        let there = self.present.iter().filter(|(_, kept)| kept.at <= now);
        let mut images: Vec<NodeImage> =
            there.map(|(name, kept)| NodeImage { names: vec![full(name)], size: kept.size }).collect();
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.names.cmp(&b.names)));
        images.truncate(REPORTED_MAX);
        images
    }
}

fn cached_image(name: Name, size: i64) -> Kept {
    Kept { at: SimTime(i64::MIN), size, layers: [(name, size)].into(), used: SimTime(i64::MIN) }
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
        let (settings, node, mut registry) = (settings(), crate::name!("n"), Registry::default());
        let mut prepare = |second: i64, image: &str, policy: PullPolicy, exists: bool| {
            let image = Name::from(image);
            let wanted = Wanted { image: &image, policy, size: Some(400), layers: None, exists };
            let mut around = Around {
                now: SimTime::from_secs(second),
                settings: &settings,
                registry: &mut registry,
                node: &node,
                parallel: Some(1),
                room: i64::MAX,
                disk_speed: 1000,
            };
            images.prepare(&wanted, &mut around)
        };
        for (second, image, policy, exists, end) in table {
            let step = prepare(second, image, policy, exists);
            match end {
                None => assert_eq!(step, ImageStep::Present, "{image}"),
                Some(end) => {
                    let ImageStep::Pull(pull) = step else { panic!("{image}: {step:?}") };
                    assert_eq!((pull.until, pull.failure.is_none()), (SimTime::from_secs(end), exists), "{image}");
                }
            }
        }
        assert_eq!(prepare(0, "other", Never, true), ImageStep::NeverPull);
        let names: Vec<Name> = images.report(SimTime::from_secs(6)).into_iter().flat_map(|i| i.names).collect();
        assert_eq!(names, ["docker.io/library/app:1", "docker.io/library/nginx:latest"]);
    }

    #[test]
    fn layers_are_shared() {
        let (settings, node, mut registry) = (settings(), crate::name!("n"), Registry::default());
        let mut images = ImageStore::new(&node, &[], Seed(1));
        let layers = |own: &str| -> Layers { [(crate::name!("base"), 300), (Name::from(own), 100)].into() };
        let mut pull = |image: &str, second: i64| {
            let (image, layers) = (Name::from(image), layers(image));
            let policy = PullPolicy::IfNotPresent;
            let wanted = Wanted { image: &image, policy, size: None, layers: Some(&layers), exists: true };
            let mut around = Around {
                now: SimTime::from_secs(second),
                settings: &settings,
                registry: &mut registry,
                node: &node,
                parallel: Some(1),
                room: 500,
                disk_speed: 1000,
            };
            match images.prepare(&wanted, &mut around) {
                ImageStep::Pull(pull) => (pull.until, pull.size, pull.failure),
                other => panic!("{other:?}"),
            }
        };
        // A second of latency, then 400 bytes at 100 a second; the second image lacks 100 of them.
        assert_eq!(pull("a", 0), (SimTime::from_secs(5), 400, None));
        assert_eq!(pull("b", 10), (SimTime::from_secs(12), 400, None));
        let now = SimTime::from_secs(500);
        assert_eq!(images.bytes(now), 500);
        // Removing the older one frees its own layer.
        assert_eq!(images.remove_unused(&[crate::name!("b")], i64::MAX, SimDuration::ZERO, now), 100);
        assert_eq!(images.bytes(now), 400);
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
