//! The disk: what containers write, images that nobody uses, and who goes when it is full.

use super::{pod, run};

/// A node of 20 GiB of disk; the thresholds are 10 % (nodefs) and 15 % (imagefs) of it, 2 GiB and 3 GiB.
const NODE: &str = "
duration: 15m
cluster:
  controlPlane: {replicas: 0}
  pools: [{name: node, count: 1, capacity: {cpu: 4, memory: 4Gi, ephemeralStorage: 20Gi}, startAfter: 0s}]
manifests:
  inline:
";

/// Who writes more than its limit is evicted at the next look, with a grace of a second. 10 MiB a second are 300 MiB
/// after thirty seconds.
#[test]
fn a_limit_of_ephemeral_storage_is_enforced() {
    let limits = ", resources: {limits: {ephemeral-storage: 300Mi}}";
    let text = format!("{NODE}{}behavior: [{{diskGrowth: {{rate: 10Mi/s}}}}]\n", pod("scribe", limits, ""));
    let run = run(&text);
    let over = run.at("scribe", "event Started") + 30_000;
    let look = (over / 10_000 + 1) * 10_000;
    let evicted = run.of("scribe", "event Evicted");
    let expected = "event Evicted Pod ephemeral local storage usage exceeds the total limit of containers 300Mi. ";
    assert_eq!(evicted, [(look, expected)]);
    assert_eq!(run.pod("scribe").status.reason, "Evicted");
}

/// An emptyDir of at most 100 MiB, filled by 10 MiB a second beside a layer that may grow: full after 10 s, found by a look
/// that comes every ten.
#[test]
fn a_volume_may_hold_so_much() {
    let volume = ", volumes: [{name: cache, emptyDir: {sizeLimit: 100Mi}}]";
    let mount = ", volumeMounts: [{name: cache, mountPath: /cache}]";
    let rule = |more: &str| format!("behavior: [{{diskGrowth: {{rate: 10Mi/s}}{more}}}]\n");
    let text = |more: &str| format!("{NODE}{}{}", pod("scribe", mount, volume), rule(more));
    let run_in = run(&text(", diskVolume: cache"));
    let (started, evicted) = (run_in.at("scribe", "event Started"), run_in.at("scribe", "event Evicted"));
    assert_eq!(
        run_in.of("scribe", "event Evicted")[0].1,
        "event Evicted Usage of EmptyDir volume \"cache\" exceeds the limit \"100Mi\". "
    );
    assert!((10_000..=20_000).contains(&(evicted - started)), "{started} {evicted}");
    // What goes into the container's own layer is no matter of the volume.
    let beside = run(&text(""));
    assert!(beside.of("scribe", "EmptyDir").is_empty());
}

/// 17 GiB written leave less than 15 % of 20 GiB: the kubelet removes the image that nobody uses any more; that is not
/// enough, and the pod that wrote goes. The other, which wrote nothing, stays.
#[test]
fn a_full_disk_costs_images_then_pods() {
    let text = format!(
        "{NODE}{}{}behavior: [{{match: {{pod: scribe}}, disk: 10Gi, diskGrowth: {{rate: 100Mi/s, after: 1m}}}}]\n",
        pod("scribe", "", ""),
        pod("quiet", "", "")
    );
    let run = run(&text);
    // 10 GiB and 100 MiB a second after the first minute: more than 17 GiB less the image of 1 MiB after 71.67 s.
    let crossed = run.at("scribe", "event Started") + 60_000 + 71_670;
    let look = (crossed / 10_000 + 1) * 10_000;
    assert_eq!(run.at("node-0", "event EvictionThresholdMet Attempting to reclaim ephemeral-storage"), look);
    let evicted =
        run.of("scribe", "event Evicted The node was low on resource: ephemeral-storage. Threshold quantity: ");
    assert_eq!((evicted.len(), evicted[0].0), (1, look), "{:#?}", run.about("scribe"));
    assert!(run.of("quiet", "event Evicted").is_empty());
    assert_eq!(run.at("node-0", "node DiskPressure,Ready"), look);
}

/// The log of a container is kept to five files of 10 MiB: it alone fills no disk.
#[test]
fn logs_are_rotated() {
    let text = format!("{NODE}{}behavior: [{{logs: 100Mi/s}}]\n", pod("chatty", "", ""));
    let run = run(&text);
    assert!(run.of("chatty", "event Evicted").is_empty());
}

/// Every five minutes a disk more than 85 % full is brought down to 80 % by removing images that nobody uses and that
/// are two minutes old: here the one of 14 GiB of a pod that ended, since 3 GiB beside it make 17.
#[test]
fn unused_images_are_collected() {
    let old = pod("old", "", ", restartPolicy: Never").replace("app:1", "old:1");
    let text = format!(
        "{NODE}{old}{}behavior: [{{match: {{pod: old}}, imageSize: 14Gi, runTime: 10s}}, {{match: {{pod: new}}, \
         disk: 3080Mi}}]\n",
        pod("new", "", "")
    )
    .replace("startAfter: 0s}", "startAfter: 0s, kubelet: {evictionHard: {memory.available: 100Mi}}}");
    let run = run(&text);
    let node = run.cluster.runtime().store.live().node(&kubesim::model::Name::from("node-0")).unwrap().clone();
    let images: Vec<&str> = node.images.iter().flat_map(|image| image.names.iter().map(|name| name.as_str())).collect();
    assert_eq!(images, ["docker.io/library/app:1"]);
}

/// A disk of 20 GiB holds a file for each 16 KiB, 1 310 720; 5 % of them, 65 536, have to be free. 10 000 files a second
/// leave less after 124.5 s, which the next look finds; room there is enough. Who has the most files goes.
#[test]
fn a_disk_runs_out_of_files() {
    let text = format!(
        "{NODE}{}{}behavior: [{{match: {{pod: many}}, fileGrowth: {{rate: 10k/s}}}}, {{match: {{pod: few}}, files: 1k}}]\n",
        pod("few", "", ""),
        pod("many", "", "")
    );
    let run = run(&text);
    let started = run.at("many", "event Started");
    let look = (started + 124_518) / 10_000 * 10_000 + 10_000;
    let left = 1_310_720 - 1_000 - (look - started) * 10;
    let evicted = run.of("many", "event Evicted The node was low on resource: inodes. Threshold quantity: 64Ki, ");
    let [(at, message)] = evicted[..] else { panic!("{evicted:?}") };
    let available: i64 = message.split("available: ").nth(1).unwrap().trim_end_matches(". ").parse().unwrap();
    // The start is known to the millisecond, which is ten files.
    assert!(at == look && (left..=left + 10).contains(&available), "{message} at {at}, {left} of {look}");
    assert_eq!(run.at("node-0", "event EvictionThresholdMet Attempting to reclaim inodes"), look);
    assert!(run.at("node-0", "node DiskPressure") >= look);
    assert!(run.of("few", "event Evicted").is_empty());
}
