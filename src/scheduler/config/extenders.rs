//! Extenders: upstream asks another process over HTTP; here an in-process plugin is asked instead
//! (`pkg/scheduler/extender.go`, `pkg/scheduler/apis/config/validation/validation.go`).
//!
//! Worked example: `{urlPrefix: "hook://ImageLocality", prioritizeVerb: score, weight: 2}` adds what the plugin
//! ImageLocality says to every node's total, twice, in every profile.

use super::faults::Faults;
use super::registry;
use super::types::Extender;
use crate::rng::Seed;
use crate::scheduler::plugin::Point;
use crate::scheduler::profile::Profile;
use crate::wire::names;
use crate::wire::typed::suggestion;

/// Before the name of a plugin that stands in for an extender.
const HOOK: &str = "hook://";

/// kube-scheduler's own checks.
pub(super) fn validate(extenders: &[Extender], faults: &mut Faults<'_>) {
    let mut managed = Vec::new();
    for (at, extender) in extenders.iter().enumerate() {
        let path = format!("extenders[{at}]");
        if !extender.prioritize_verb.is_empty() && extender.weight <= 0 {
            let detail = "must have a positive weight applied to it";
            faults.invalid(&format!("{path}.weight"), extender.weight, detail, "write weight: 1 or more");
        }
        for (at, resource) in extender.managed_resources.iter().enumerate() {
            let (path, shown) = (format!("{path}.managedResources[{at}].name"), format!("{:?}", resource.name));
            let found = names::qualified_name(&resource.name);
            let own = !resource.name.contains('/')
                || resource.name.contains("kubernetes.io/")
                || resource.name.starts_with("requests.");
            for fault in &found {
                faults.invalid(&path, &shown, fault, "");
            }
            if found.is_empty() && own {
                let help = "name an extended resource, such as example.com/gpu";
                faults.invalid(&path, &shown, "is an invalid extended resource name", help);
            }
            if managed.contains(&resource.name) {
                faults.invalid(&path, &shown, "duplicate extender managed resource name", "remove one of the two");
            }
            managed.push(resource.name.clone());
        }
    }
    let binders = extenders.iter().filter(|extender| !extender.bind_verb.is_empty()).count();
    if binders > 1 {
        let shown = format!("\"found {binders} extenders implementing bind\"");
        faults.invalid("extenders", shown, "only one extender can implement bind", "leave bindVerb to one of them");
    }
}

/// Puts the hooks behind the plugins of every profile.
pub(super) fn attach(extenders: &[Extender], profiles: &mut [Profile], seed: Seed, faults: &mut Faults<'_>) {
    for (at, extender) in extenders.iter().enumerate() {
        let path = format!("extenders[{at}]");
        let Some(name) = extender.url_prefix.strip_prefix(HOOK) else {
            let message = format!("the extender {:?} is another process, and none is asked", extender.url_prefix);
            let help = "write urlPrefix: hook://NAME with the name of a plugin that filters or scores in its place, or \
                        remove the extender";
            faults.say(&format!("{path}.urlPrefix"), message, help);
            continue;
        };
        let known = registry::known(seed);
        let Some(plugin) = known.iter().find(|known| known.name == name).and_then(|known| known.plugin.clone()) else {
            let names: Vec<&str> =
                known.iter().filter(|known| known.plugin.is_some()).map(|known| known.name.as_str()).collect();
            let help = suggestion(name, &names, "the plugins are");
            faults.say(&format!("{path}.urlPrefix"), format!("there is no hook {name:?}"), help);
            continue;
        };
        let verbs = [
            ("filterVerb", &extender.filter_verb, &[Point::PreFilter, Point::Filter][..]),
            ("prioritizeVerb", &extender.prioritize_verb, &[Point::PreScore, Point::Score][..]),
            ("preemptVerb", &extender.preempt_verb, &[][..]),
            ("bindVerb", &extender.bind_verb, &[][..]),
        ];
        for (field, _, points) in verbs.iter().filter(|(_, verb, _)| !verb.is_empty()) {
            let needed = points.last();
            if !needed.is_some_and(|point| plugin.points().contains(point)) {
                let message = format!("the hook {name:?} does nothing for `{field}`");
                faults.say(
                    &format!("{path}.{field}"),
                    message,
                    "a hook filters or scores as its plugin does; remove it",
                );
            }
        }
        let points: Vec<Point> =
            verbs.iter().filter(|(_, verb, _)| !verb.is_empty()).flat_map(|(.., points)| *points).copied().collect();
        for profile in profiles.iter_mut() {
            profile.hook(plugin.clone(), &points, extender.weight);
        }
    }
}
